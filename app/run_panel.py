"""A run on the Tune page: how far it is, what can be done with it, its charts and what it finds."""

from __future__ import annotations

import streamlit as st

from app import displays, launchers, results, style
from app.live import live
from app.options import fill_from
from app.team.actions import resume, stop
from app.team.people import is_mine, owner
from app.widgets.links import open_page
from sfcore import drawing
from sfcore.names import plain_in_markdown
from sfcore.present import tuning_charts
from sfcore.present.run_history import RunHistory
from sfcore.quant.transforms import beyond_usual
from sfcore.runs import RunFolder, ahead, log
from sfcore.runs.preview import Preview, read
from sfcore.runs.shipped import ships

STATUS = {
    "queued": ("Queued", "gray"), "running": ("Running", "blue"), "stopped": ("Stopped", "orange"),
    "done": ("Done", "green"), "failed": ("Failed", "red"),
}  # fmt: skip


def panel() -> None:
    """The chosen run, redrawn while it goes on."""
    found = {run.name: run for run in results.runs()}
    if all(map(ships, found.values())):
        st.info(
            "No runs of your own yet. Choose bits and a method, then start one; its progress appears here. Below is "
            "how the example went that ships with the app.",
            icon=":material/tune:",
        )
    name = results.pick("Run", list(found), "run", "Newest first.")
    live(lambda: draw(found[name]), found[name].is_alive())


def draw(run: RunFolder) -> bool:
    """Everything about a run; returns whether it goes on."""
    alive = header(run)
    history = results.history(run)
    progress(run, history, alive)
    outcome(run)
    preview(run, alive)
    if history.loss[0]:
        charts(history, results.heads_of(run.spec.detector))
    elif alive and history.total:
        style.note("Losses appear with the first step of tuning.")
    return alive


def header(run: RunFolder) -> bool:
    """Status and what can be done; returns whether the run goes on."""
    alive = run.is_alive()  # before its status, which a run that ends now has written down by then
    status = run.status
    word, colour = STATUS[status]
    st.markdown(f":{colour}-badge[{word}] {summary(run)}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if not is_mine(run):
            style.note(f"Started by {owner(run).get('name') or 'who runs the server'}, who alone may stop it or go on.")
        elif alive:
            stop_button(run, status == "queued")
        elif status != "done":
            resume_button(run)
        if st.button(
            "Duplicate", icon=":material/content_copy:", key="duplicate", on_click=fill_from, args=(run,),
            help="Fills all controls with this run's settings: change some, then start.",
        ):  # fmt: skip
            st.rerun()  # the controls are outside this fragment
        if results.held_back_scores(run) and st.button(
            "Compare", icon=":material/compare:", on_click=results.put_in_sidebar, args=(run,),
            help="What it finds against what full precision finds, frame by frame.",
        ):  # fmt: skip
            open_page("compare")
    record = run.record()
    if record.get("error"):
        style.problem(record["error"])
    if status in ("failed", "stopped") and (printed := log(run)):
        with st.expander("What its process printed"):
            st.code(printed, language=None)
    launchers.say_where(run)
    if cost := results.cost(run):
        style.note(f"{cost}.")
    style.in_full_precision(record.get("full_precision", {}))
    if notes := record.get("transform_notes"):
        with st.expander("What transforms did", icon=":material/tune:"):
            st.table([dict(zip(("Transform", "What"), note.split(": ", 1), strict=True)) for note in notes])
    return alive


def stop_button(run: RunFolder, waiting: bool) -> None:
    """Ask a run to stop, or to leave the queue."""
    text = "Leaves the queue." if waiting else "Stops after the present step."
    if st.button("Stop", icon=":material/stop:", help=f"{text} It can be resumed."):
        stop(run)
        st.toast("The run leaves the queue." if waiting else "The run stops after its present step.")


def resume_button(run: RunFolder) -> None:
    """Go on with a run that was stopped, or that failed."""
    text = "Goes on from the last checkpoint, after the runs that are in the queue."
    if st.button("Resume", icon=":material/play_arrow:", help=text):
        resume(run)
        st.rerun()


def summary(run: RunFolder) -> str:
    """What the run was asked to do, in one line."""
    spec, chosen = run.spec, results.settings(run)
    parts = [spec.detector, spec.full_scheme().name, spec.method]
    parts += [f"{sign} {chosen[name]:g}" for name, sign in (("k", "k"), ("lam", "λ")) if chosen.get(name)]
    parts += beyond_usual(spec.transforms)
    if count := run.record().get("images"):
        parts.append(f"{count:,} images")
    return " · ".join(parts)


def progress(run: RunFolder, history: RunHistory, alive: bool) -> None:
    """How far the run is, or what it waits for."""
    if not alive:
        return
    before = ahead(run) if run.status == "queued" else []
    if before:
        seen = {each.name for each in results.runs()}
        names = plain_in_markdown(", ".join(each.name if each.name in seen else "one on uploads" for each in before))
        runs = "a run" if len(before) == 1 else f"{len(before)} runs"
        st.progress(0.0, f"Number {len(before) + 1} in the queue, after {runs} on the same device: {names}")
    elif not history.total or run.status == "queued":
        st.progress(0.0, "Starting")
    else:
        left = f", {style.duration(history.seconds_left)} left" if history.seconds_left is not None else ""
        share = min(history.done / history.total, 1.0)
        st.progress(share, f"{history.phase.capitalize()}: {history.done:,} of {history.total:,}{left}")


def outcome(run: RunFolder) -> None:
    """The run's own result, once it has one."""
    found = results.held_back_scores(run)
    if not found:
        return
    columns = st.columns([1, 1, 1.3, 1.3])  # by the length of their labels
    for place, (key, label, digits) in enumerate((("f1", "F1", 3), ("distortion", "Distortion", 2))):
        for offset, name in enumerate(("calibrated", "tuned")):
            value = found.get(name, {}).get(key)
            columns[2 * place + offset].metric(f"{label}, {name}", "none" if value is None else f"{value:.{digits}f}")
    elsewhere = results.task_of(run).words.elsewhere
    style.note(f"On the run's held-back images. Judge it on {elsewhere}, on the Compare page.")


def preview(run: RunFolder, alive: bool) -> None:
    """One held-back frame as what is found on it improves: the present ones, or with a slider once the run rests."""
    task = results.task_of(run)
    found, things = read(run, task), task.words.plural
    if found is None:
        return
    st.markdown(
        f"**{things.capitalize()} of one held-back frame**",
        help=f"The frame with most {things} among those that the run is not tuned on. Its {things} are written down "
        "before the first iteration and whenever the held-back images are checked.",
    )
    at = iteration_control(found, alive)
    now = found.predictions[found.iterations.index(at)]
    moved = task.distortion(found.full, now)
    picture = task.draw_moved(drawing.canvas(found.image), found.full, now, moved)
    name = "calibrated, before any tuning" if at == 0 else f"after {at:,} iterations"
    displays.picture(picture, key="lanes", alt=f"The frame with the full-precision {things} and those {name}")
    style.moved_legend(task, "quantized")
    style.note(f"{name.capitalize()}: distortion {float(moved.score[0]):.2f} on this frame.")


def iteration_control(found: Preview, alive: bool) -> int:
    """The iteration whose prediction is shown."""
    times = list(found.iterations)
    if alive or len(times) == 1:
        return times[-1]
    if st.session_state.get("iteration", times[-1]) not in times:  # chosen for another run
        del st.session_state["iteration"]
    return st.select_slider(
        "Iteration", times, times[-1], key="iteration", bind="query-params",
        help="0 is the calibrated model. The state with the least distortion on all held-back images is kept.",
    )  # fmt: skip


def charts(history: RunHistory, order: list[str]) -> None:
    """How the run went, two by two."""
    drawn = tuning_charts.charts(history, order)
    for first in range(0, len(drawn), 2):
        for each, column in zip(drawn[first : first + 2], st.columns(2, gap="medium"), strict=False):
            with column:
                st.markdown(f"**{each.title}**", help=each.help)
                displays.chart(each.figure, key=each.title, alt=each.alt, table=each.table)
