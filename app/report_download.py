"""Asking for a report: which images, then progress, then the file to save."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import style
from app.results import task_of
from app.session import KEY, Studio
from app.style import Bar
from sfcore.datasets.dataset import Dataset, Frame, spread
from sfcore.errors import InputError
from sfcore.present.report import FRAMES, report
from sfcore.present.report.evidence import held_back
from sfcore.runs import RunFolder

MOST = 200  # frames
HELD_BACK, CHOSEN = "held back by the run", "chosen in the sidebar"
MADE = "report"  # where the session keeps the last one


@st.dialog("Report")
def dialog(runs: Sequence[RunFolder], frames: Sequence[Frame] | None = None) -> None:
    """A dialog that makes the report of a run, or of two compared.

    Args:
        frames: of the sidebar's images; None to let the visitor choose.
    """
    st.write(
        f"One HTML file about **{'** and **'.join(run.name for run in runs)}**: numbers, pictures and settings. "
        "It opens anywhere, without this app and without a network."
    )
    view: Studio | None = st.session_state.get(KEY)
    dataset = view.dataset if view else None
    if frames is None:
        dataset, frames = _images(view, runs[0])
    key = [run.path for run in runs], frames
    if st.button("Make the report", type="primary", icon=":material/description:", width="stretch"):
        try:
            bar = Bar("Detecting")
            made = report(runs, dataset, frames, progress=lambda _, done, total: bar(done, total))
            bar.close()
            st.session_state[MADE] = key, made
        except InputError as error:
            style.problem(error)
    if st.session_state.get(MADE, (None,))[0] == key:
        content = st.session_state[MADE][1].encode()
        st.download_button(
            f"Save the report ({len(content) / 1e6:.1f} MB)", content, f"{'-against-'.join(r.name for r in runs)}.html",
            "text/html", icon=":material/download:", on_click="ignore", width="stretch",
        )  # fmt: skip


def _images(view: Studio | None, run: RunFolder) -> tuple[Dataset | None, list[Frame] | None]:
    """The images that the visitor wants; None for those that the run held back, which may be gone."""
    known = [*([HELD_BACK] if _held_back_there(run) else []), *([CHOSEN] if view else [])] or [HELD_BACK]
    source = st.segmented_control(
        "Images", known, default=known[0], required=True,
        help="A run keeps the last eighth of its images back from tuning. Others say more.",
    )  # fmt: skip
    if HELD_BACK not in known:
        st.caption(f"The images that {run.name} held back are not on this machine.")
    if view is None or source == HELD_BACK:
        return None, None
    most = min(len(view.frames), MOST)
    count = st.number_input("Frames", 1, most, min(most, FRAMES), help="Evenly spread over the chosen images.")
    return view.dataset, spread(view.frames, int(count))


def _held_back_there(run: RunFolder) -> bool:
    try:
        return bool(held_back(run, task_of(run)).frames)
    except InputError:
        return False
