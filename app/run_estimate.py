"""Time and memory of a run before it starts, as the Tune page says them."""

from __future__ import annotations

import streamlit as st

from app import style
from app.team.actions import attempt
from sfcore.runs import RunFolder, RunSpec, default_root
from sfcore.runs.estimate import Estimate, estimate, trial_path
from sfcore.serving import serving

GB = 1e9


def forecast(spec: RunSpec) -> None:
    """What the run will take, or a button that finds it out with a short trial in the background."""
    trial = RunFolder(trial_path(spec, default_root()))
    going = trial.is_alive()

    @st.fragment(run_every="1s" if going else None)
    def present() -> None:
        with st.container(border=True, key="forecast"):
            say(spec, trial)
        if going and not trial.is_alive():
            st.rerun()

    present()


def say(spec: RunSpec, trial: RunFolder) -> None:
    """The estimate, how far the trial is, or why there is none."""
    if trial.is_alive():
        st.markdown(":material/timer: Trying a few iterations …")
        return
    found = estimate(spec, default_root())
    if found:
        st.markdown(described(found))
    elif (trial.path / "run.json").is_file() and trial.status == "failed":
        style.problem(trial.record().get("error") or "The trial failed.")
    if st.button(
        "Estimate anew" if found else "Estimate time and memory", key="estimate", icon=":material/timer:",
        width="stretch", type="tertiary" if found else "secondary",
        help="Tries a few iterations on a few images in the background: some seconds for small detectors.",
    ):  # fmt: skip
        attempt(spec)
        st.rerun()


def described(found: Estimate) -> str:
    """An estimate in words, with where it comes from."""
    what = "GPU" if found.device == "cuda" else "CPU"
    earlier = "an earlier run" if serving() else f"the run {found.of.name}"  # which may be another's, on uploads
    source = "a trial of a few iterations" if found.trial else earlier
    busy = ", made while another run was going on: alone it is faster" if found.busy and found.trial else ""
    scarce = ": :red[it may not fit, take fewer images or smaller batches]" if found.memory > found.free else ""
    lines = [
        f":material/timer: **About {about(found.seconds)}** on this {what}.",
        f":material/memory: **About {found.memory / GB:.1f} GB**; {found.free / GB:.1f} GB are free{scarce}.",
        f":small[By {source}{busy}.]",
    ]
    return "  \n".join(lines)


def about(seconds: float) -> str:
    """A time that is not known better than by a tenth: "40 s", "4 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
