"""Heads: noise on one head, and what it does to the prediction."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import results, style
from app.displays import chart, picture
from app.perturbation import DEFAULT_LEVEL, LEVELS, RERUNS, Moved, Scores, most_sensitive, scores_at, with_noise
from app.session import Studio, studio
from app.widgets.level_slider import chosen, level_slider
from app.widgets.player import Shot, player
from sfcore import drawing
from sfcore.errors import InputError
from sfcore.present.figures import charts
from sfcore.sensitivity.noise import Noise, NoiseKind

KINDS: dict[str, NoiseKind] = {"Gaussian": "gaussian", "Uniform": "uniform", "Quantization error": "replay"}
REPLAYED = 8  # images whose quantization error is recorded
MOST_BARS = 14  # objects whose distortion is drawn one by one
FILM, FILM_WIDTH = 16, 800  # draws of the film; pixels of its pictures
VIEWS = ("One draw", f"{FILM} draws")
LEVEL_HELP = "RMS of the noise as a share of the RMS of the head's output. Each step is a factor of 1.26."
TEXTS = [style.level_text(level) for level in LEVELS]


def controls(view: Studio) -> tuple[str, NoiseKind, int, DeltaGenerator]:
    """Head, kind of noise and seed, all of them in the link; and the place of the slider between them."""
    names = [head.name for head in view.detector.heads]
    first, second, third, fourth = st.columns([1.3, 1.3, 2.6, 1], gap="medium", vertical_alignment="top")
    head = first.selectbox(
        "Head", names, index=names.index(most_sensitive(view)), key="head", bind="query-params",
        help="The output that gets noise. All others stay as they are.",
    )  # fmt: skip
    kind = second.selectbox(
        "Noise", list(KINDS), key="kind", bind="query-params",
        help="Gaussian: normally distributed. Uniform: bounded, like rounding errors. Quantization error: what a "
        "run's calibrated model leaves on this head, replayed at the chosen level.",
    )  # fmt: skip
    seed = fourth.number_input(
        "Seed", 0, 9999, 0, key="seed", bind="query-params",
        help="Another seed, another draw of the noise. Step through draws with − and +.",
    )  # fmt: skip
    return head, KINDS[kind], int(seed), third.container()


def one_draw(view: Studio, moved: Moved) -> None:
    """Both predictions of one draw over the frame."""
    task = view.task
    drawn = task.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
    alt = f"{task.words.plural.capitalize()} before and after noise"
    picture(task.draw_names(drawn, moved.before), key="noise on a head", alt=alt)


def film(view: Studio, moved: Moved, seeds: Sequence[int]) -> None:
    """The draws one after the other, each with its distortion."""
    task, canvas, scores = view.task, drawing.canvas(view.canvas, FILM_WIDTH), moved.distortion.score.tolist()
    most, shots = max(*scores, 1e-6), []
    for place, (seed, score) in enumerate(zip(seeds, scores, strict=True)):
        drawn = task.draw_moved(canvas, moved.before, moved.after, moved.distortion, place)
        jpeg = drawing.jpeg(task.draw_names(drawn, moved.before))
        shots.append(Shot(jpeg, f"seed {seed}: distortion {score:.2f}", score / most))
    player(shots, key="film")


def split(view: Studio, moved: Moved) -> None:
    """The distortion of the image and of each object, by part; the mean over the draws."""
    task, scores = view.task, moved.distortion.score
    words = task.words
    st.metric(
        words.score if len(scores) == 1 else f"{words.score}, mean of {len(scores)}",
        f"{float(scores.mean()):.2f}",
        help=words.explanation,
    )
    found = task.split(moved.before, moved.distortion)
    shown = of_most_moved(found, words.plural)
    each = {part.name: [values[part.name] for values in shown.values()] for part in task.parts}
    table = pd.DataFrame.from_dict(found, "index").rename_axis(words.singular).reset_index()
    alt = f"Distortion of each {words.singular} by part"
    chart(charts.split_bars(list(shown), task.parts, each), key="split", alt=alt, table=table)


def of_most_moved(found: dict[str, dict[str, float]], things: str) -> dict[str, dict[str, float]]:
    """The objects that moved most, in their order, and all others together where there are many."""
    if len(found) <= MOST_BARS:
        return found
    ranked = sorted(found, key=lambda name: sum(found[name].values()), reverse=True)
    most, others = set(ranked[: MOST_BARS - 1]), ranked[MOST_BARS - 1 :]
    rest = {part: sum(found[name][part] for name in others) for part in found[ranked[0]]}
    return {name: found[name] for name in found if name in most} | {f"{len(others)} other {things}": rest}


def ranking(view: Studio, head: str, level: float, found: Scores) -> None:
    """All heads at the same noise."""
    order = [h.name for h in view.detector.heads]
    figure = charts.ranking(
        {name: values[0] for name, values in found.items()}, {n: v[1:] for n, v in found.items()}, order, head
    )
    st.markdown(
        f"**All heads at {style.level_text(level)}**",
        help=f"Mean over {RERUNS} draws of noise on this image; the whiskers span 5 % to 95 % of them.",
    )
    table = pd.DataFrame.from_dict(found, "index", columns=["mean distortion", "5 % quantile", "95 % quantile"])
    alt = "Heads ranked by the distortion that equal noise causes"
    chart(figure, key="ranking", alt=alt, table=table.rename_axis("head").reset_index())


def nothing_to_replay(view: Studio) -> None:
    """What to do where no quantization error is known."""
    st.info(
        f"No quantization error is known for {view.choice.name} yet: start a run on the Tune page, or choose another "
        "kind of noise.",
        icon=":material/tune:",
    )
    st.page_link("../pages/tune.py", label="Go to Tune", icon=":material/arrow_forward:")


@st.fragment
def perturbation_panel(view: Studio) -> None:
    """Everything that follows the controls; only this is rerun when one of them moves."""
    try:
        head, kind, seed, place = controls(view)
        level = chosen(TEXTS, TEXTS[LEVELS.index(DEFAULT_LEVEL)], "level")
        noise, run = Noise(kind, LEVELS[level]), results.choose(view, "run") if kind == "replay" else None
        if kind == "replay" and run is None:
            return nothing_to_replay(view)
        errors = results.quantization_errors(view, run, view.images[:REPLAYED]) if run else None
        left, right = st.columns([2.3, 1], gap="medium")
        with left:
            many = view_control() == VIEWS[1]
            seeds = range(seed, seed + (FILM if many else 1))
            moved = with_noise(view, head, noise, seeds, error=errors[head] if errors else None)
            film(view, moved, seeds) if many else one_draw(view, moved)
            style.moved_legend(view.task, "with noise")
        with place:  # the picture is there: the slider may send its next value
            level_slider("Noise level", TEXTS, level, "level", LEVEL_HELP)
        with right:
            split(view, moved)
            ranking(view, head, noise.level, scores_at(*view.key, noise, seed, str(run.path) if run else "", errors))
    except InputError as error:
        style.problem(error, icon=":material/error:")


def view_control() -> str:
    """One draw of the noise, or several as a film."""
    return st.segmented_control(
        "Draws of the noise", VIEWS, default=VIEWS[0], required=True, key="draws", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip


view = studio()
things = view.words.plural
style.page(
    "Heads",
    f"Put noise on one head and watch the {things}. The head that moves them most at equal noise needs the most care.",
)
perturbation_panel(view)
