"""Compare: quantized predictions against the full-precision ones and against labels, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app import displays, results, sources, style
from app.comparison import Contender, choose, compare
from app.session import Studio, forget_unknown, image_hash, studio, written
from app.widgets.compare_slider import compare_slider
from app.widgets.frame_strip import Tile, frame_strip
from app.widgets.player import blink
from sfcore import drawing
from sfcore.colours import LABEL
from sfcore.datasets.dataset import Frame
from sfcore.detectors.base import Image
from sfcore.errors import InputError
from sfcore.evaluation.metric import nothing_to_find
from sfcore.names import plain_in_markdown, printable
from sfcore.present.figures import charts, clips
from sfcore.present.figures.scores import by_scenario
from sfcore.present.model_comparison import (
    Comparison,
    ModelScores,
    calibration_overlap,
    draw,
    labelled_objects,
    measure_title,
    series,
)
from sfcore.runs import RunFolder
from sfcore.runs.shipped import ships
from sfcore.tasks.base import Task, Words

VIEWS = ("Slider", "Side by side", "Blink", "Clip")
ORDERS = ("distortion", "labels")
MOST_TILES = 60  # frames in the strip
LONGEST, CLIP_WIDTH = 60, 720  # frames of a clip; pixels of each of its two pictures


@dataclass(frozen=True)
class Display:
    """How a frame is shown: one of VIEWS, the two models, and whether labels are drawn."""

    view: str
    left: Contender
    right: Contender
    labels: bool

    @property
    def sides(self) -> tuple[Contender, Contender]:
        return self.left, self.right


def known_images(run: RunFolder, frames: Sequence[Frame], elsewhere: str) -> None:
    """Say whether the run has seen the frames: on those, a tuned model looks better than it is."""
    known = calibration_overlap(run, [frame.image for frame in frames], image_hash)
    if known is None:
        style.note(
            f"The run {run.name} was tuned on images that are not on this machine; whether these frames are among them "
            "is not known."
        )
    elif known == 0:
        rendered = " Its own images were rendered for it and are not on this machine." if ships(run) else ""
        style.note(
            f"None of these {len(frames)} frames was used to calibrate or tune the run {run.name}: its numbers are "
            f"honest here.{rendered}"
        )
    else:
        st.warning(
            f"{known} of these {len(frames)} frames were used to calibrate and tune the run {run.name}. Numbers on "
            f"them flatter it: choose {elsewhere} in the sidebar.",
            icon=":material/info:",
        )


def explanations(words: Words) -> dict[str, str]:
    """What the measures of the labels' metrics are, by name."""
    things = words.plural
    return {
        "f1": "Against the labels, by the dataset's own metric.",
        "ap": f"Average precision of the {things} against the labels, by the dataset's own metric.",
        "accuracy": "Share of labelled points that were found, as TuSimple counts it.",
        "tp": f"Labelled {things} that were found.",
        "fp": f"Found {things} that are not labelled: their number, or for TuSimple their share of those found.",
        "fn": f"Labelled {things} that were missed: their number, for TuSimple their share of those labelled.",
    }


def table(task: Task[Any], found: Comparison) -> None:
    """What the labels' metric says of each model, and how it agrees with full precision."""
    rows, columns, texts = [], displays.agreement_columns(task), explanations(task.words)
    for name, scores in found.scores.items():
        row: dict[str, Any] = {"Model": name}
        total = scores.labels.total if scores.labels else {}
        for measure in sorted(total, key=lambda measure: (measure != "f1", measure in ("tp", "fp", "fn"))):
            row[measure_title(measure)] = total[measure]
            form = "%d" if isinstance(total[measure], int) else "%.3f"
            columns[measure_title(measure)] = st.column_config.NumberColumn(format=form, help=texts.get(measure))
        agreed = scores.agreement
        row |= {"Agreement": agreed.f1, "Distortion": agreed.distortion, f"Shift ({agreed.unit})": agreed.shift}
        rows.append(row)
    st.dataframe(pd.DataFrame(rows), column_config=columns, hide_index=True)


def bars(things: str, models: Sequence[Contender], found: Comparison) -> None:
    """Each model's measure in total and scenario by scenario, where scenarios are known."""
    first = found.scores[models[0].name]
    if not first.scenarios:
        return
    st.subheader("Scenario by scenario", anchor=False)
    known = [first.labels.headline] if first.labels else ["f1"]
    known += ["f1"] if first.labels and "f1" in first.labels.total and known != ["f1"] else []
    measure = known[0]
    if len(known) > 1:
        measure = st.segmented_control(
            "Figure", known, default=measure, required=True, key="figure",
            bind="query-params", format_func=measure_title, label_visibility="collapsed",
        )  # fmt: skip
    bars = series(models, found, measure)
    named = f"{measure_title(measure)}, against {'labels' if found.labelled else 'full precision'}"
    displays.chart(
        by_scenario(bars, named), key="by-scenario",
        alt=f"{measure_title(measure)} of each model, in total and by scenario",
        table=pd.DataFrame({each.name: each.values for each in bars}).rename_axis("scenario").reset_index(),
    )  # fmt: skip
    each = {one.name: found.scores[one.name].measures() for one in bars}
    for scenario in (name for name, score in each[bars[0].name].items() if nothing_to_find(score)):
        counts = ", ".join(f"{score[scenario]['fp']:g} by {name}" for name, score in each.items())
        style.note(f"{scenario} has no {things} to find. {things.capitalize()} found there all the same: {counts}.")


def problems(found: Comparison) -> None:
    """Frames that could not be read or have a damaged label."""
    if not found.problems:
        return
    count = sources.count(len(found.problems), "frame")
    rows = [(printable(name), problem) for name, problem in found.problems.items()]
    with st.expander(f"{count} missing or damaged", icon=":material/broken_image:"):
        st.dataframe(pd.DataFrame(rows, columns=["Frame", "Problem"]), hide_index=True)


def sides(models: Sequence[Contender]) -> tuple[Contender, Contender]:
    """What stands left and right: calibrated and tuned, or the last models of two runs, unless others are chosen."""
    named, own = {model.name: model for model in models}, sum(not model.second for model in models)
    two = own < len(models)  # runs; their choices have keys and defaults of their own
    names, places = list(named), (own - 1, len(models) - 1) if two else (own - 2, own - 1)
    keys = ("left2", "right2") if two else ("left", "right")
    before = f"models of {keys[0]}"
    if st.session_state.setdefault(before, names) != names:  # set, for if forgotten, they would stay in the browser
        usual = {key: names[place] for key, place in zip(keys, places, strict=True)}
        st.session_state.update({before: names} | usual)
    texts = ("The first picture.", "The second picture; the frames are sorted by how this model does on them.")
    chosen = [
        named[st.selectbox(label, names, place, key=key, bind="query-params", help=text, width=190)]
        for label, place, key, text in zip(("Left", "Right"), places, keys, texts, strict=True)
    ]
    return chosen[0], chosen[1]


def controls(models: Sequence[Contender], labelled: bool) -> Display:
    """View, sides, and whether labels are drawn; all in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = st.segmented_control(
            "View", VIEWS, default=VIEWS[0], required=True, key="view", bind="query-params", width="content",
            help="Slider: drag the divider. Blink: the two change once a second. Clip: consecutive frames as a film.",
        )  # fmt: skip
        left, right = sides(models)
        labels = labelled and st.toggle("Labels", True, key="labels", bind="query-params", width="content")
    return Display(view, left, right, labels)


def strip(view: Studio, found: Comparison, model: Contender) -> Frame:
    """The frames, worst first, to choose from."""
    text, choice = st.columns([4, 1], vertical_alignment="bottom")
    orders = ORDERS if found.labelled else ORDERS[:1]
    forget_unknown("order", orders)
    order = choice.selectbox(
        "Worst by", orders, key="order", bind="query-params",
        help=f"Distortion: how far the {view.words.plural} are from the full-precision ones. Labels: what the "
        "dataset's metric says.",
    )  # fmt: skip
    scores, by_name = found.scores[model.name], {frame.name: frame for frame in found.frames}
    worst = {printable(name): by_name[name] for name in scores.worst(order)[:MOST_TILES]}
    text.markdown(f"**{sources.count(len(worst), 'frame')}, the worst of {model.name} first**")
    tiles = [
        Tile(name, results.thumbnail(view, frame.image), tile_text(scores, frame, order), model.colour)
        for name, frame in worst.items()
    ]
    chosen = frame_strip(tiles, key="frame", default=st.query_params.get("at"))
    st.query_params["at"] = chosen
    return worst[chosen]


def tile_text(scores: ModelScores, frame: Frame, order: str) -> str:
    """The number that a frame is sorted by, and its scenario."""
    value = scores.of_frame(frame.name) if order == "labels" else scores.distortion[frame.name]
    return " · ".join(filter(None, (f"{value:.2f}", frame.scenario)))


def drawn(view: Studio, model: Contender, frame: Frame, canvas: Image, labels: bool) -> Image:
    """One model's prediction about one frame, against the full-precision one."""
    labelled = labelled_objects(view.task, view.dataset, frame) if labels else []
    size = view.dataset.size(frame) if labelled else (0, 0)
    before, after = view.prediction(frame.image), model.prediction(view, frame.image)
    return draw(view.task, canvas, model, before, after, labelled, size)


def film(view: Studio, chosen: Display, frame: Frame) -> None:
    """The chosen frame and those that follow it in the source, as a film of both models."""
    all_frames = list(view.dataset.frames)
    rest = all_frames[all_frames.index(frame) :][:LONGEST]
    if len(rest) < 2:
        st.info("No frame follows this one in its source: choose another.", icon=":material/movie:")
        return
    count = st.slider(
        "Frames of the clip", 2, LONGEST, 24, key="clip", bind="query-params",
        help="The chosen frame and those that follow it in the folder, dataset or video, as far as there are so many.",
    )  # fmt: skip
    frames = rest[: int(count)]
    stamps = tuple((each.name, written(each.image)) for each in frames)
    key = ("clip", view.choice, view.dataset.root, stamps, *(model.key for model in chosen.sides), chosen.labels)
    if st.session_state.get("film", (None,))[0] != key:  # only the last one is kept, for films are large
        st.session_state["film"] = (key, rendered_film(view, chosen, frames))
    st.video(st.session_state["film"][1], format="video/webm", loop=True, muted=True)


def rendered_film(view: Studio, chosen: Display, frames: Sequence[Frame]) -> bytes:
    """The film, with a progress bar while it is made."""
    bar, pictures = style.Bar("Drawing frames"), []
    for done, frame in enumerate(frames, 1):
        canvas = drawing.canvas(results.canvas(view, frame.image), CLIP_WIDTH)
        left, right = (drawn(view, model, frame, canvas, chosen.labels) for model in chosen.sides)
        pictures.append(clips.beside(left, right, chosen.left.name, chosen.right.name))
        bar(done, len(frames))
    bar.close()
    return clips.webm(pictures)


def picture(view: Studio, chosen: Display, frame: Frame) -> None:
    """The two models on one frame, in the chosen view."""
    if chosen.view == "Clip":
        return film(view, chosen, frame)
    canvas = results.canvas(view, frame.image)
    both = [drawn(view, model, frame, canvas, chosen.labels) for model in chosen.sides]
    left, right = map(drawing.jpeg, both)
    names = chosen.left.name, chosen.right.name
    with st.container(gap=None):
        if chosen.view == "Side by side":
            for column, jpeg, name in zip(st.columns(2, gap="small"), (left, right), names, strict=True):
                alt = f"{view.words.plural.capitalize()} of {name} on {printable(frame.name)}"
                column.image(jpeg, name, width="stretch", alt=alt)
        else:
            {"Slider": compare_slider, "Blink": blink}[chosen.view](left, right, *names, key=chosen.view)
        displays.saved(dict(zip(names, both, strict=True)), f"{view.words.plural} {printable(Path(frame.name).stem)}")


def frame_numbers(view: Studio, models: Sequence[Contender], found: Comparison, frame: Frame) -> None:
    """Distortion of this frame, by part, for each model; with a label also what the metric says."""
    name = plain_in_markdown(printable(frame.name)).replace("/", "/\u200b")  # long names break at their folders
    by_part = ", ".join(part.name for part in view.task.parts)
    st.markdown(f"**{name}**", help=f"{view.words.score} of this frame, by part: {by_part}.")
    parts = [model.moved(view, frame.image).distortion.parts() for model in models[1:]]
    each = {part.name: [float(values[part.name][0]) for values in parts] for part in view.task.parts}
    figure = charts.split_bars([model.name for model in models[1:]], view.task.parts, each)
    displays.chart(
        figure, key="frame-parts", alt="Distortion of this frame by part",
        table=pd.DataFrame(each, index=[model.name for model in models[1:]]).rename_axis("model").reset_index(),
    )  # fmt: skip
    values = {name: scores.of_frame(frame.name) for name, scores in found.scores.items()}
    known = [f"{name} {value:.2f}" for name, value in values.items() if value is not None]
    labels = found.scores[models[0].name].labels
    if labels and known:
        headline = measure_title(labels.headline)
        style.note(f"{headline} against the label: {', '.join(known)}.")


@st.fragment
def viewer(view: Studio, models: Sequence[Contender], found: Comparison) -> None:
    """Strip, controls and picture; only this is rerun when one of them is used."""
    above = st.container()
    try:
        chosen = controls(models, found.labelled)
        with above:
            frame = strip(view, found, chosen.right)
        roomy = chosen.view in ("Side by side", "Clip")
        wide, narrow = (st.container(), st.container()) if roomy else st.columns([2.7, 1], gap="medium")
        with wide:
            picture(view, chosen, frame)
            style.moved_legend(view.task, "quantized", *([("labels", LABEL, "dash")] if chosen.labels else []))
        with narrow:
            frame_numbers(view, models, found, frame)
    except InputError as error:
        style.problem(error, icon=":material/error:")


view = studio()
style.page("Compare", "Full precision against quantized, before and after tuning, on any frame.")
choice = choose(view)
models = choice.models
found = compare(view, models, choice.frames)
table(view.task, found)
for each in choice.runs:
    known_images(each, found.frames, view.words.elsewhere)
style.in_full_precision({name: why for model in models for name, why in model.full_precision.items()})
problems(found)
viewer(view, models, found)
bars(view.words.plural, models, found)
