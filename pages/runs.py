"""Runs: everything that was tuned, what came out, searches that go on, and the map over k and λ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import displays, launchers, options, report_download, results, sources, style
from app.search_panel import SEARCH, WHAT, standing, stop_button
from app.team.actions import delete, label, remove, restore
from app.team.people import is_me, is_mine, owner
from app.widgets.links import keep, open_page
from sfcore.errors import InputError
from sfcore.names import plain_in_markdown
from sfcore.present.figures.runs import held_back, k_lambda
from sfcore.quant.transforms import beyond_usual
from sfcore.runs import RunFolder, default_root
from sfcore.runs.results import recorded_cost
from sfcore.runs.shipped import shipped, ships
from sfcore.runs.tags import Tags, tags_of
from sfcore.runs.trash import Deleted, empty, trash
from sfcore.search.folder import ENDED, read, trials
from sfcore.search.presence import is_alive
from sfcore.search.process import launched
from sfcore.serving import serving

ORDER = [
    *("Run", "Status", "Tags", "Bits", "Bits a weight", "k", "λ", "F1 calibrated", "F1 tuned"),
    *("Distortion calibrated", "Distortion tuned", "Bits an activation", "GBOPs", "Note", "Took", "Created"),
    *("Detector", "Method", "Transforms", "Where"),
    *(("Owner",) if serving() else ()),
]
COLUMNS = {
    "Run": st.column_config.TextColumn(width=290),
    "Tags": st.column_config.ListColumn(width=130),
    "Note": st.column_config.TextColumn(width="medium"),
    "Where": st.column_config.TextColumn(help="What it was launched by, and the machine that works on it or did last."),
    "Created": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    "λ": st.column_config.NumberColumn(format="%g"),
    "F1 calibrated": st.column_config.NumberColumn(format="%.3f", help="On the run's held-back images, at IoU 0.5."),
    "F1 tuned": st.column_config.NumberColumn(format="%.3f", help="On the run's held-back images, at IoU 0.5."),
    "Bits a weight": st.column_config.NumberColumn(format="%.2f", help="Mean over the detector's weights."),
    "Bits an activation": st.column_config.NumberColumn(format="%.2f", help="Mean over what the layers read."),
    "GBOPs": st.column_config.NumberColumn(
        format="%.2f",
        help="Billions of bit operations an image: products, each of the bits of one side times the other's.",
    ),
    "Distortion calibrated": st.column_config.NumberColumn(format="%.2f", help="Mean per held-back image."),
    "Distortion tuned": st.column_config.NumberColumn(format="%.2f", help="Mean per held-back image."),
}
STATUS = {"done": "✓ done", "running": "▶ running", "stopped": "❚❚ stopped", "failed": "✕ failed", "queued": "… queued"}
MAPPED = {"Distortion tuned": ("distortion", True), "F1 tuned": ("F1", False)}  # column: title, whether low is good


def row(run: RunFolder) -> dict[str, object]:
    """One run as a row of the table."""
    record, spec, written = run.record(), run.spec, tags_of(run)
    settings = results.settings(run)
    found, scheme = results.held_back_scores(run), spec.full_scheme()
    # Of other runs of earlier versions it is counted when they are opened, for that takes seconds.
    cost = results.cost(run) if ships(run) else recorded_cost(run)
    return {
        "Run": run.name,
        "Status": STATUS[run.status],
        "Tags": list(written.tags),
        "Detector": spec.detector,
        "Bits": scheme.name,
        "Scheme": str(scheme),
        "Bits a weight": cost and cost.average_weight_bits,
        "Bits an activation": cost and cost.average_activation_bits,
        "GBOPs": cost and cost.bops / 1e9,
        "Method": spec.method,
        "Transforms": ", ".join(beyond_usual(spec.transforms)),
        "k": settings.get("k"),
        "λ": settings.get("lam"),
        "F1 calibrated": found.get("calibrated", {}).get("f1"),
        "F1 tuned": found.get("tuned", {}).get("f1"),
        "Distortion calibrated": found.get("calibrated", {}).get("distortion"),
        "Distortion tuned": found.get("tuned", {}).get("distortion"),
        "Note": written.note,
        "Took": style.duration(record["worked"]) if "worked" in record else "",
        "Where": launchers.where(run),
        "Owner": owner(run).get("name", ""),
        "Created": pd.Timestamp(record.get("created", time.time()), unit="s"),
    }


def filters(frame: pd.DataFrame) -> pd.DataFrame:
    """Narrow the table by text, tags, detector, bits, method and status."""
    search, *columns = st.columns([1.5, 1, 1, 1, 1, 1])
    text = search.text_input(
        "Search", key="f_text", bind="query-params", placeholder="name, tag, note, …", icon=":material/search:",
        help="All words must occur in the run's name, tags, note, detector, bits, method or status.",
    )  # fmt: skip
    words = text.lower().split()
    lines = (" ".join(map(str, each)).lower() for each in frame.itertuples(index=False))
    frame = frame[[all(word in line for word in words) for line in lines]]
    for column, name in zip(columns, ("Tags", "Detector", "Bits", "Method", "Status"), strict=True):
        each = frame[name].explode().dropna()  # a run may have several tags
        if chosen := choose(column, name, each.unique()):
            frame = frame.loc[each[each.isin(chosen)].index.unique()]
    return frame


def choose(column: DeltaGenerator, name: str, values: Sequence[str]) -> list[str]:
    """Which values of a column to show; none for all."""
    key = f"f_{name.lower()}"
    kept = [value for value in st.session_state.get(key, []) if value not in values]
    options = sorted([*values, *kept])  # what is chosen stays on offer though nothing that is left has it
    return column.multiselect(name, options, key=key, bind="query-params", placeholder="all")


@st.dialog("Delete runs")
def deletion_dialog(names: list[str]) -> None:
    """Ask before anything is removed."""
    st.write(f"Delete {sources.count(len(names), 'run')}, models included? For a day that can be undone.")
    st.write("\n".join(f"- {plain_in_markdown(name)}" for name in names))
    cancel, sure = st.columns(2)
    if cancel.button("Keep", width="stretch"):
        st.rerun()
    if sure.button("Delete", type="primary", width="stretch"):
        try:
            for name in names:
                deleted().append(delete(name))
            st.rerun()
        except InputError as error:
            style.problem(error)


def deleted() -> list[Deleted]:
    """What this visitor deleted and has not restored."""
    kept: list[Deleted] = st.session_state.setdefault("deleted runs", [])
    kept[:] = [run for run in kept if run.place.is_dir()]
    return kept


def undo_bar() -> None:
    """What was deleted, with the way back."""
    empty(default_root())
    mine, all_runs = deleted(), [gone for gone in trash(default_root()) if is_mine(RunFolder(gone.place))]
    if not all_runs:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        said = f"{sources.count(len(mine), 'run')} deleted" if mine else ""
        others = len(all_runs) - len(mine)
        more = f"{others} {'more ' if mine else ''}in the trash" if others else ""
        st.markdown(":material/delete: " + " · ".join(filter(None, (said, more))), width="content")
        if mine and st.button("Undo", icon=":material/undo:", help="Put back what you deleted."):
            restore_runs(mine)
        if others and not mine and st.button("Restore", icon=":material/undo:", help="Put all of them back."):
            restore_runs(all_runs)
        if mine and st.button("Delete for good", type="tertiary", help="Now. A day after deletion it happens anyway."):
            for run in mine:
                remove(run)
            st.rerun()


def restore_runs(gone: Sequence[Deleted]) -> None:
    """Restore runs, as many as can be."""
    try:
        for run in gone:
            restore(run)
        st.rerun()
    except InputError as error:
        style.problem(error)


@st.dialog("Tags and note")
def tags_dialog(runs: Sequence[RunFolder], known: Sequence[str]) -> None:
    """Edit what is written on runs: a note on one, the tags that they share on several."""
    before = [tags_of(run) for run in runs]
    shared = set.intersection(*(set(each.tags) for each in before))
    tags = st.multiselect(
        "Tags", sorted({*known, *shared}), sorted(shared), accept_new_options=True, placeholder="type a new one",
        help="A few words to find runs by. Of several runs, these are the tags that all of them have.",
    )  # fmt: skip
    note = st.text_area("Note", before[0].note, placeholder="What this run is about") if len(runs) == 1 else None
    if st.button("Save", type="primary", width="stretch"):
        try:
            for run, old in zip(runs, before, strict=True):
                kept = {*old.tags} - shared | {*tags}
                label(run, Tags.of(kept, old.note if note is None else note))
            st.rerun()
        except InputError as error:
            style.problem(error)


def actions(found: dict[str, RunFolder], chosen: list[str], known_tags: Sequence[str]) -> None:
    """What can be done with the selected rows."""
    runs = [found[name] for name in chosen]
    one, some, pair = len(runs) == 1, bool(runs), len(runs) in (1, 2)
    example = any(map(ships, runs))
    fixed = example or not all(map(is_mine, runs))  # only its owner writes on a run, or deletes it
    said = f"{len(chosen)} selected." if chosen else "Select one or several runs at their left edge."
    style.note(f"{said} The example that ships stays as it is and where it is." if example else said)
    for problem in filter(None, map(results.weights_problem, runs)):
        style.problem(problem)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Compare", icon=":material/compare:", disabled=not pair, on_click=lambda: open_runs(runs),
            help="See what one run finds, or two against each other.",
        ):  # fmt: skip
            open_page("compare")
        if st.button(
            "Open", icon=":material/tune:", disabled=not one, on_click=lambda: open_runs(runs),
            help="How it went, on the Tune page.",
        ):  # fmt: skip
            open_page("tune")
        if st.button(
            "Duplicate", icon=":material/content_copy:", disabled=not one, on_click=lambda: options.fill_from(runs[0]),
            help="Fills the Tune page with its settings, to be changed and started again.",
        ):  # fmt: skip
            open_page("tune")
        if st.button(
            "Tags and note", icon=":material/label:", disabled=not some or fixed, help="Write something on runs."
        ):
            tags_dialog(runs, known_tags)
        if st.button(
            "Search around", icon=":material/grid_view:", disabled=not one or example,
            on_click=lambda: search_around(runs[0]),
            help="Repeat a run with other values of k, λ, the learning rate or bits, on the Tune page.",
        ):  # fmt: skip
            open_page("tune")
        if st.button(
            "Report", icon=":material/description:", disabled=not pair,
            help="One HTML file of a run, or of two compared, that opens anywhere without this app.",
        ):  # fmt: skip
            report_download.dialog(runs)
        if st.button("Delete", icon=":material/delete:", disabled=not some or fixed, help="Asks before it deletes."):
            deletion_dialog(chosen)


def first_steps(example: RunFolder) -> None:
    """What the run that ships came to, and what to do next, where nobody has tuned anything yet."""
    st.info(
        f"No runs of your own yet. **{example.name}** is an example that ships with the app: look at it, or start one."
    )
    points, (left, right) = results.history(example).held_back, st.columns([2.2, 1], gap="large")
    with left:
        st.markdown(f"**Distortion of {example.name} on held-back images**", help="Mean per image, as it was tuned.")
        displays.chart(held_back(points), key="example", alt="Distortion over iterations")
    with right:
        before, after = points[1][0], min(points[1])
        in_bits = f"{example.spec.detector} in {example.spec.full_scheme().name}"
        style.key_number(f"{before:.0f} → {after:.0f}", f"distortion of {in_bits}")
        choose_it: dict[str, Any] = {"on_click": open_runs, "args": ([example],), "width": "stretch"}
        if st.button("See its lanes", icon=":material/compare:", **choose_it):
            open_page("compare")
        if st.button("See how it went", icon=":material/show_chart:", **choose_it):
            open_page("tune")
        st.page_link("../pages/tune.py", label="Tune a detector", icon=":material/tune:")


def open_runs(runs: Sequence[RunFolder]) -> None:
    """Choose one or two runs for the other pages; a callback, as the sidebar is drawn before this page."""
    results.put_in_sidebar(runs[0])
    st.session_state["against"] = runs[1].name if len(runs) > 1 else "none"


def search_around(run: RunFolder) -> None:
    """Fill the Tune page with a run's settings, to search around them; for use as a callback."""
    options.fill_from(run)
    st.session_state[WHAT] = SEARCH


@st.fragment(run_every="3s")
def searches_going_on() -> None:
    """How far each search is that has not ended."""
    for path in filter(is_alive, results.searches()):
        found, search = trials(path), read(path)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            share = sum(trial.state in ENDED for trial in found) / search.trials
            st.progress(min(share, 1.0), f"{plain_in_markdown(path.name)}: {standing(found, search.trials)}")
            if is_me(launched(path).owner):
                stop_button(path, f"stop {path.name}")
            if st.button("Open", icon=":material/travel_explore:", key=f"open {path.name}", help="See its trials."):
                keep("search", path.name)
                st.session_state[WHAT] = SEARCH
                open_page("tune")
            if st.button("Refresh", icon=":material/refresh:", key=f"look {path.name}", help="Read the table anew."):
                st.rerun()


def sweep_map(frame: pd.DataFrame) -> None:
    """The map over k and λ, for a detector, bits and method that were run with several of them."""
    known = frame.dropna(subset=["k", "λ", "Distortion tuned"])
    groups = {
        " · ".join(key): part
        for key, part in known.groupby(["Detector", "Scheme", "Method"])
        if len(part.groupby(["k", "λ"])) > 1
    }
    st.subheader("k × λ", anchor=False)
    if not groups:
        st.info(
            "Select a finished run above and search around it: one method with several values of k or λ. The results "
            "stand here as a map.",
            icon=":material/grid_view:",
        )
        return
    which, what = st.columns([2, 1], vertical_alignment="bottom")
    with which:
        name = st.selectbox(
            "Runs of", list(groups), key="sweep", bind="query-params", help="Detector, bits and method."
        )
    with what:
        column = st.segmented_control(
            "Figure", list(MAPPED), default=next(iter(MAPPED)), required=True, key="mapped", bind="query-params"
        )
    title, low_is_good = MAPPED[column]
    cells = groups[name].groupby(["k", "λ"])
    values = {(int(k), float(lam)): float(value) for (k, lam), value in cells[column].mean().items()}
    newest = {(int(k), float(lam)): str(run) for (k, lam), run in cells["Run"].first().items()}
    table = cells[["F1 tuned", "Distortion tuned"]].mean().assign(runs=cells.size()).reset_index()
    displays.chart(
        k_lambda(values, title, low_is_good, newest), key="k-lambda", alt=f"{title} over k and λ", table=table,
        clicked=open_clicked,
    )  # fmt: skip
    better = "lower" if low_is_good else "higher"
    style.note(
        f"Mean {title} of the tuned models on their held-back images; {better} is better. Click on a field to see what "
        "its newest run finds."
    )


def open_clicked() -> None:
    """Choose the clicked run for the Compare page."""
    name = displays.clicked_point("k-lambda")
    if name:
        results.put_in_sidebar({run.name: run for run in results.runs()}[name])
        st.session_state["opened from map"] = True


if st.session_state.pop("opened from map", False):
    open_page("compare")
style.page("Runs", "Everything that was tuned on this machine, and an example that ships.")
with st.container():  # a place of its own, so that nothing else moves into it
    undo_bar()
found = {run.name: run for run in results.runs()}
own = [run for run in found.values() if not ships(run)]
everything = pd.DataFrame([row(run) for run in found.values()])
with st.container():
    if any(map(is_alive, results.searches())):
        searches_going_on()
frame = filters(everything)
event = st.dataframe(
    frame, column_config=COLUMNS, column_order=ORDER, hide_index=True, on_select="rerun", selection_mode="multi-row",
    key=f"table of {' '.join(frame['Run'])}",  # Streamlit remembers rows by their number, whatever run has it now
)  # fmt: skip
chosen = [frame.iloc[place]["Run"] for place in event.selection.rows]
actions(found, chosen, everything["Tags"].explode().dropna().unique())
if own:
    sweep_map(frame[frame["Run"].isin([run.name for run in own])])  # the example has other held-back images
else:
    first_steps(shipped())
