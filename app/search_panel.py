"""A search on the Tune page: how far it is, what was best, its pictures, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app import displays, results, style
from app.live import live
from app.team.actions import remove_search, resume_search, stop_search
from app.team.people import is_me
from app.widgets.links import open_page
from sfcore.names import plain_in_markdown
from sfcore.runs import RunFolder
from sfcore.search import pictures
from sfcore.search.command import command
from sfcore.search.folder import ENDED, HOPELESS, Search, Trial, best_of, read, trials
from sfcore.search.pictures import usual_pair
from sfcore.search.presence import is_alive
from sfcore.search.process import launched, log
from sfcore.search.space import Space

WORDS = {
    "done": "done", HOPELESS: "stopped early", "running": "running", "queued": "waiting", "stopped": "stopped",
    "failed": "failed",
}  # fmt: skip
WHAT = "t_what"  # the Tune page's choice between a run and a search
RUN, SEARCH = "A run", "A search"
OPEN = "open from search"  # where the session keeps the page that a click asked for


def panel() -> None:
    """The chosen search, redrawn while it goes on."""
    found = {path.name: path for path in results.searches()}
    if not found:
        st.info(
            "No searches yet. Choose what to vary, then start one; its trials appear here as they go.",
            icon=":material/travel_explore:",
        )
        return
    name = results.pick("Search", list(found), "search", "Newest first.")
    live(lambda: draw(found[name]), is_alive(found[name]))


def draw(path: Path) -> bool:
    """Everything about a search; returns whether it goes on."""
    if page := st.session_state.pop(OPEN, None):
        open_page(page)
    alive = is_alive(path)  # before its trials, of which the last has been written down when it ends
    search, found = read(path), trials(path)
    space = search.written()
    header(path, search, found, alive)
    if best := best_of(found):
        say_best(best, space, alive)
    if any(trial.value is not None for trial in found):
        charts(space, found)
    elif alive:
        style.note("Trials appear here with their first check of the held-back images.")
    with st.expander("Command", icon=":material/terminal:"):
        style.note("Goes on with this search on the command line; with another --out it begins the same anew.")
        st.code(command(path, search), language="sh", wrap_lines=True)
    return alive


def header(path: Path, search: Search, found: Sequence[Trial], alive: bool) -> None:
    """Status, how far it is, and what can be done."""
    ended = sum(trial.state in ENDED for trial in found)
    done = ended >= search.trials
    word, colour = ("Running", "blue") if alive else ("Done", "green") if done else ("Stopped", "orange")
    spec = search.written().spec
    what = " · ".join([spec.detector, spec.full_scheme().name, spec.method, search.sampler])
    st.markdown(f":{colour}-badge[{word}] {plain_in_markdown(what)}")
    if done and not alive:
        style.note(standing(found, search.trials))
    else:
        st.progress(min(ended / search.trials, 1.0), standing(found, search.trials))
    whose = launched(path).owner
    if not is_me(whose):
        style.note(f"Started by {whose.get('name') or 'who runs the server'}, who alone may stop it or go on.")
    else:
        buttons(path, found, alive, done)
    if not alive and not done and (printed := log(path)):
        with st.expander("What its process printed"):
            st.code(printed, language=None)


def standing(found: Sequence[Trial], total: int) -> str:
    """How far a search is: "3 done, 1 stopped early, 1 running of 12 trials"."""
    counts = Counter(trial.state for trial in found)
    parts = [f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state]]
    return f"{', '.join(parts) or 'none begun'} of {total} trials"


def buttons(path: Path, found: Sequence[Trial], alive: bool, done: bool) -> None:
    """What the owner of a search may do with it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if alive:
            stop_button(path)
        elif not done and st.button(
            "Go on", icon=":material/play_arrow:", help="With the trial that was interrupted, then with the others."
        ):
            resume_search(path)
            st.rerun()
        if not alive and not found and st.button(
            "Remove", icon=":material/delete:", help="The search has no runs any more. It goes for good."
        ):  # fmt: skip
            remove_search(path)
            st.rerun()


def stop_button(path: Path, key: str = "stop search") -> None:
    """Ask a search to stop."""
    text = "The running trial stops after its present step. The search can go on later."
    if st.button("Stop", icon=":material/stop:", key=key, help=text):
        stop_search(path)
        st.toast("The search stops after the present step of its trial.")


def say_best(best: Trial, space: Space, alive: bool) -> None:
    """The best trial, so far or at all, and the way to it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        values = [f"{pictures.title(name, space.spec.method)} {short(value)}" for name, value in best.params.items()]
        st.markdown(
            f"**Best{' so far' if alive else ''}: {best.value:.2f}** with {plain_in_markdown(', '.join(values))}",
            width="stretch",
            help="Distortion on its held-back images, which chose it: judge it on images that chose nothing.",
        )  # fmt: skip
        if st.button(
            "Compare", icon=":material/compare:", key="best compare", on_click=_open, args=(best.run, "compare"),
            help=f"What the run {best.run.name} finds, frame by frame.",
        ):  # fmt: skip
            st.rerun()
        if st.button(
            "How it went", icon=":material/show_chart:", key="best tune", on_click=_open, args=(best.run, "tune"),
            help=f"Losses and noise levels of the run {best.run.name}.",
        ):  # fmt: skip
            st.rerun()


def charts(space: Space, found: Sequence[Trial]) -> None:
    """The trials over all axes, and over two."""
    table = pictures.table(space, found)
    st.markdown(
        "**Trials**",
        help="A line a trial: its values, and at the right the distortion that it left, which gives it its colour. "
        "Grey and dashed: stopped early. Dotted: going on. Click on a line to see what its run finds.",
    )
    displays.chart(
        pictures.parallel(space, found), key="trials", alt="Each trial's values and its distortion", table=table,
        clicked=lambda: _open_clicked("trials"),
    )  # fmt: skip
    if not (usual := usual_pair(space)):
        return
    across, up = usual if len(space.axes) == 2 else choose_pair(space, usual)
    if across == up:
        style.note("Choose two different axes.")
        return
    names = {name: pictures.title(name, space.spec.method) for name in (across, up)}
    st.markdown(
        f"**{names[up]} × {names[across]}**",
        help="A point a trial, by the distortion that it left; where several meet, the best is on top. Crosses: "
        "stopped early. The star is the best. Click to see what its run finds.",
    )
    displays.chart(
        pictures.pairs(space, found, across, up), key="pair", alt=f"Distortion over {names[across]} and {names[up]}",
        table=table, clicked=lambda: _open_clicked("pair"),
    )  # fmt: skip


def choose_pair(space: Space, usual: tuple[str, str]) -> tuple[str, str]:
    """Which two axes are drawn."""
    names = [axis.name for axis in space.axes]
    found = []
    for label, name, column in zip(("Across", "Up"), usual, st.columns(2), strict=True):
        key = f"s_{label.lower()}"
        if st.session_state.get(key, name) not in names:  # chosen for another search
            del st.session_state[key]
        found.append(
            column.selectbox(
                label, names, names.index(name), key=key, bind="query-params",
                format_func=lambda each: pictures.title(each, space.spec.method),
            )
        )  # fmt: skip
    return found[0], found[1]


def short(value: object) -> str:
    """A value of an axis as it is said."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _open_clicked(chart: str) -> None:
    """Choose the clicked trial for the Compare page, or for the Tune page where it has no model yet."""
    if name := displays.clicked_point(chart):
        run = {run.name: run for run in results.runs()}.get(name)
        if run:
            _open(run.path, "compare" if run.status == "done" else "tune")


def _open(path: Path, page: str) -> None:
    """Choose a trial's run for all pages, and go to one; a callback, as the sidebar is drawn before the page."""
    results.put_in_sidebar(RunFolder(path))
    if page == "tune":
        st.session_state[WHAT] = RUN
    st.session_state[OPEN] = page
