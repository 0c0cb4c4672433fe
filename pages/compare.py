"""Compare: a run's quantized lanes against the full-precision ones, frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pandas as pd
import streamlit as st

from app import results, style
from app.figures import charts, road
from app.figures.colours import CALIBRATED, MOVED, PARTS
from app.results import Verdict
from app.session import Studio, named, studio
from app.widgets.compare_slider import compare_slider
from app.widgets.frame_strip import Frame, frame_strip
from sfcore.detectors.base import Image
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName

FULL = "full precision"
COLUMNS = {
    "Model": st.column_config.TextColumn(width="small"),
    "F1": st.column_config.NumberColumn(
        format="%.3f", help="Agreement with the full-precision lanes at IoU 0.5; 1 is the same lanes."
    ),
    "Precision": st.column_config.NumberColumn(format="%.3f", help="Share of its lanes that full precision has too."),
    "Recall": st.column_config.NumberColumn(format="%.3f", help="Share of the full-precision lanes that it has too."),
    "Distortion": st.column_config.NumberColumn(format="%.2f", help="Mean Lane Distortion Score per image."),
    "Shift (px)": st.column_config.NumberColumn(
        format="%.2f", help="Mean sideways displacement at 640 px image width."
    ),
}


def frames_to_compare(view: Studio) -> list[Path]:
    """Evenly spaced frames of the chosen images."""
    most = len(view.images)
    count = most if most == 1 else st.number_input(
        f"Frames, of {most}", 1, most, min(most, 24), key="frames", bind="query-params",
        help="How many of the chosen images are compared, evenly spaced. More take longer the first time.",
    )  # fmt: skip
    return [view.images[i * most // int(count)] for i in range(int(count))]


def known_images(run: RunFolder, frames: list[Path]) -> None:
    """Say whether the run has seen the frames: on those, a tuned model looks better than it is."""
    known = results.seen_in_calibration(run, frames)
    if known is None:
        style.note(
            "The run's calibration images are no longer where they were: whether it has seen these frames is not known."
        )
    elif known == 0:
        style.note(
            f"None of these {len(frames)} frames was used to calibrate or tune the run: its numbers are honest here."
        )
    else:
        st.warning(
            f"{known} of these {len(frames)} frames were used to calibrate and tune this run. Numbers on them flatter "
            "it: choose images of other roads and cameras in the sidebar.",
            icon=":material/info:",
        )


def scores(verdicts: dict[ModelName, Verdict]) -> None:
    """The agreement of each model over all frames."""
    rows = [
        {
            "Model": name,
            "F1": v.total.f1,
            "Precision": v.total.precision,
            "Recall": v.total.recall,
            "Distortion": v.total.distortion,
            "Shift (px)": v.total.shift_px,
        }
        for name, v in verdicts.items()
    ]
    st.dataframe(pd.DataFrame(rows), column_config=COLUMNS, hide_index=True, height=36 * (len(rows) + 1) + 2)


def strip(frames: list[Path], verdicts: dict[ModelName, Verdict]) -> Path:
    """The frames, worst first, to choose from."""
    last = list(verdicts)[-1]
    names = named(frames)
    worst = sorted(zip(verdicts[last].distortion, names, strict=True), key=lambda pair: -pair[0])
    st.markdown(f"**Frames by distortion of the {last} model, worst first**")
    colour = MOVED if last == "tuned" else CALIBRATED
    items = [Frame(name, results.thumbnail(names[name]), f"{score:.2f}", colour) for score, name in worst]
    chosen = frame_strip(items, key="frame", default=st.query_params.get("at"))
    st.query_params["at"] = chosen
    return names[chosen]


def drawn(view: Studio, run: RunFolder, frame: Path, which: str) -> Image:
    """One side of the slider."""
    canvas = results.canvas(frame)
    full = view.lanes(frame)
    if which == FULL:
        return road.draw_lanes(canvas, full)
    moved = results.moved(view, run, cast(ModelName, which), frame)
    return road.draw_moved(canvas, full, moved.after, moved.distortion)


def sides(models: list[ModelName]) -> tuple[str, str]:
    """What stands left and right of the divider."""
    options = [FULL, *models]
    left = st.selectbox(
        "Left", options, index=len(options) - 2, key="left", bind="query-params", help="Left of the divider."
    )
    right = st.selectbox(
        "Right", options, index=len(options) - 1, key="right", bind="query-params", help="Right of the divider."
    )
    return left, right


def frame_numbers(view: Studio, run: RunFolder, frame: Path, models: list[ModelName]) -> None:
    """Distortion of this frame, by part, for each model."""
    st.markdown(f"**{frame.name}**", help="Lane Distortion Score of this frame, by part: bend, spike, misalignment.")
    parts = [results.moved(view, run, name, frame).distortion.parts() for name in models]
    each = {part: [float(found[part][0]) for found in parts] for part in PARTS}
    st.plotly_chart(
        charts.split_bars(models, each), config={"displayModeBar": False}, key="frame parts", alt="Distortion by part"
    )


@st.fragment
def look(view: Studio, run: RunFolder, frames: list[Path], verdicts: dict[ModelName, Verdict]) -> None:
    """The strip and the picture; only this is rerun when another frame is chosen."""
    models = list(verdicts)
    frame = strip(frames, verdicts)
    wide, narrow = st.columns([3.2, 1], gap="medium")
    with narrow:
        left, right = sides(models)
        frame_numbers(view, run, frame, models)
    with wide:
        before, after = (road.jpeg(drawn(view, run, frame, which)) for which in (left, right))
        compare_slider(before, after, left, right, key="slider")
        style.moved_legend("quantized")


view = studio()
style.page("Compare", "Full precision against quantized, before and after tuning, on any frame.")
left, right = st.columns([3, 1], gap="medium")
with left:
    run = results.choose(view, "run")
if run is None:
    st.info(
        f"There is no finished run of {view.choice.name} yet. Start one on the Tune page; it appears here.",
        icon=":material/tune:",
    )
    st.page_link("../pages/tune.py", label="Go to Tune", icon=":material/arrow_forward:")
    st.stop()
with right:
    frames = frames_to_compare(view)
verdicts = results.verdicts(view, run, frames)
scores(verdicts)
known_images(run, frames)
look(view, run, frames, verdicts)
