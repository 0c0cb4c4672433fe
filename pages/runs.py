"""Runs: everything that was tuned, what came out, and the map over k and λ."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from app import results, style
from app.figures.runs import k_lambda
from sfcore.errors import InputError
from sfcore.runs import RunFolder

ORDER = [
    *("Run", "Status", "Bits", "k", "λ", "F1 calibrated", "F1 tuned", "Distortion calibrated", "Distortion tuned"),
    *("Took", "Created", "Detector", "Method"),
]
COLUMNS = {
    "Run": st.column_config.TextColumn(width="medium"),
    "Created": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    "λ": st.column_config.NumberColumn(format="%g"),
    "F1 calibrated": st.column_config.NumberColumn(format="%.3f", help="On the run's held-back images, at IoU 0.5."),
    "F1 tuned": st.column_config.NumberColumn(format="%.3f", help="On the run's held-back images, at IoU 0.5."),
    "Distortion calibrated": st.column_config.NumberColumn(format="%.2f", help="Mean per held-back image."),
    "Distortion tuned": st.column_config.NumberColumn(format="%.2f", help="Mean per held-back image."),
}
STATUS = {"done": "✓ done", "running": "▶ running", "stopped": "❚❚ stopped", "failed": "✕ failed", "queued": "… queued"}


def row(run: RunFolder) -> dict[str, object]:
    """One run as a row of the table."""
    record, spec = run.record(), run.spec
    settings = results.settings(run)
    started, ended = record.get("started"), record.get("ended")
    found = results.figures(run)
    return {
        "Run": run.name,
        "Status": STATUS[run.status],
        "Detector": spec.detector,
        "Bits": spec.scheme,
        "Method": spec.method,
        "k": settings.get("k"),
        "λ": settings.get("lam"),
        "F1 calibrated": found.get("calibrated", {}).get("f1"),
        "F1 tuned": found.get("tuned", {}).get("f1"),
        "Distortion calibrated": found.get("calibrated", {}).get("distortion"),
        "Distortion tuned": found.get("tuned", {}).get("distortion"),
        "Took": "" if started is None or ended is None else style.duration(ended - started),
        "Created": pd.Timestamp(record.get("created", time.time()), unit="s"),
    }


def filters(frame: pd.DataFrame) -> pd.DataFrame:
    """Narrow the table by detector, bits and method."""
    for column, name in zip(st.columns(4), ("Detector", "Bits", "Method", "Status"), strict=True):
        chosen = column.multiselect(
            name, sorted(frame[name].unique()), key=f"f_{name.lower()}", bind="query-params", placeholder="all"
        )
        if chosen:
            frame = frame[frame[name].isin(chosen)]
    return frame


@st.dialog("Delete runs")
def confirm(names: list[str]) -> None:
    """Ask before anything is removed."""
    st.write(f"Delete {len(names)} run{'s' if len(names) > 1 else ''} with their models for good?")
    st.code("\n".join(names), language=None)
    cancel, delete = st.columns(2)
    if cancel.button("Keep", width="stretch"):
        st.rerun()
    if delete.button("Delete", type="primary", width="stretch"):
        try:
            for name in names:
                results.delete(name)
            st.rerun()
        except InputError as error:
            st.error(str(error))


def actions(chosen: list[str]) -> None:
    """What can be done with the selected rows."""
    open_one, delete, rest = st.columns([1, 1, 3], vertical_alignment="center")
    if open_one.button(
        "Compare", icon=":material/compare:", disabled=len(chosen) != 1, width="stretch", help="See its lanes."
    ):
        st.session_state["run"] = chosen[0]
        st.switch_page("../pages/compare.py")
    if delete.button(
        "Delete", icon=":material/delete:", disabled=not chosen, width="stretch", help="Asks before it deletes."
    ):
        confirm(chosen)
    with rest:
        style.note("Select rows at their left edge." if not chosen else f"{len(chosen)} selected.")


def sweep(frame: pd.DataFrame) -> None:
    """The map over k and λ, for a detector, bits and method that were run with several of them."""
    known = frame.dropna(subset=["k", "λ", "Distortion tuned"])
    groups = {
        " · ".join(key): part
        for key, part in known.groupby(["Detector", "Bits", "Method"])
        if len(part.groupby(["k", "λ"])) > 1
    }
    st.subheader("k × λ", anchor=False)
    if not groups:
        st.info(
            "Run one method on one detector with several values of k or λ, and their results stand here as a map.",
            icon=":material/grid_view:",
        )
        return
    name = st.selectbox("Runs of", list(groups), key="sweep", bind="query-params", help="Detector, bits and method.")
    means = groups[name].groupby(["k", "λ"])["Distortion tuned"].mean()
    cells = {(int(k), float(lam)): float(value) for (k, lam), value in means.items()}
    st.plotly_chart(k_lambda(cells, "distortion"), config={"displayModeBar": False}, alt="Distortion over k and λ")
    style.note("Mean distortion of the tuned models on their held-back images; lower is better.")


style.page("Runs", "Everything that was tuned on this machine.")
found = results.runs()
if not found:
    st.info("No runs yet. Start one on the Tune page.", icon=":material/tune:")
    st.page_link("../pages/tune.py", label="Go to Tune", icon=":material/arrow_forward:")
    st.stop()
frame = filters(pd.DataFrame([row(run) for run in found]))
event = st.dataframe(
    frame, column_config=COLUMNS, column_order=ORDER, hide_index=True, on_select="rerun", selection_mode="multi-row",
    key="table",
)  # fmt: skip
actions([frame.iloc[i]["Run"] for i in event.selection.rows])
sweep(frame)
