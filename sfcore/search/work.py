"""Carrying out a search: trial after trial, each by the worker of all runs, in one process or several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from sfcore.bench.grid import prepare
from sfcore.errors import InputError
from sfcore.runs import RunFolder, create_or_resume
from sfcore.runs.folder import Status
from sfcore.runs.launcher import launcher_of
from sfcore.runs.tags import Tags, tags_of, write_tags
from sfcore.runs.worker import work
from sfcore.search.folder import ENDED, HOPELESS, Search, begin, read, run_path, trials
from sfcore.search.folder import value_of as distortion_of
from sfcore.search.presence import at_work, clear_stop, stop_requested
from sfcore.search.samplers import GRID, sampler
from sfcore.search.space import Space
from sfcore.search.study import Study, check_installed, suggest

LOOK = 1.0  # seconds between two reports

Watch = Callable[[int, int], None]  # trials behind us, trials in all
Worker = Callable[..., Status]  # see :func:`sfcore.runs.worker.work`


def carry_out(path: Path, search: Search, jobs: int = 1, watch: Watch | None = None) -> None:
    """Carry out what is left of a search.

    Args:
        path: of its folder; the runs are made beside it.
        jobs: processes, among which the processor's threads are divided.
        watch: is told how far it is.

    Raises:
        InputError: the folder holds another search, or what is searched is wrong; nothing is computed.
        KeyboardInterrupt: the running trials have stopped after their present step.
    """
    space = check(search, jobs)
    search = begin(path, search)
    Study(path, search, space)
    clear_stop(path)
    with at_work(path):
        if jobs == 1:
            work_on(path, watch)
            return
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), prepare, (jobs,)) as pool:
            _together(path, search, [pool.submit(work_on, path) for _ in range(jobs)], watch)


def check(search: Search, jobs: int = 1) -> Space:
    """The axes of a search that can be carried out. Raises InputError: it cannot, by so many jobs or at all."""
    check_installed()
    if jobs < 1 or search.trials < 1:
        raise InputError(f"{search.trials} trials by {jobs} jobs are no search: choose 1 or more of both")
    space = search.space()
    if search.sampler == GRID:
        space.points()  # refuses a range
    sampler(search.sampler, search.seed)
    return space


def work_on(path: Path, watch: Watch | None = None, worker: Worker = work) -> None:
    """Carry out trials until none is left, or one is asked to stop; other processes may do the same meanwhile.

    Raises:
        KeyboardInterrupt: the search was stopped, or a trial was, though not for want of hope.
    """
    search = read(path)
    space = search.space()
    study = Study(path, search, space)
    while True:
        with study.next() as trial:
            if trial is None:
                return
            if stop_requested(path):
                raise KeyboardInterrupt
            folder = create_or_resume(run_path(path, trial.number), space.variant(suggest(trial, space)))
            if not tags_of(folder).tags:
                write_tags(folder, Tags.of([f"search {path.name}"[:40]], tags_of(folder).note))
            if _carried_out(study.study, trial, folder, worker) == "stopped":
                raise KeyboardInterrupt
        if watch:
            watch(sum(each.state in ENDED for each in trials(path)), search.trials)


def _carried_out(study: Any, trial: Any, folder: RunFolder, worker: Worker) -> str:
    """Work on a trial and tell the study how it ended; one that was stopped by a person waits to be resumed."""
    from optuna.trial import TrialState

    def follow(event: Mapping[str, Any]) -> None:
        if event["type"] == "step" and "held_back" in event:
            trial.report(event["held_back"], event["iteration"])
            if not given_up and event["iteration"] < event["iterations"] and trial.should_prune():
                given_up.append(event)
                launcher_of(folder).stop(folder)

    given_up = list[Mapping[str, Any]]()
    if folder.record().get(HOPELESS):  # the process died between giving it up and saying so
        status: str = HOPELESS
    else:
        try:
            status = worker(folder, watch=follow)
        except Exception:  # whatever a detector of the user's raises: the folder says why
            if folder.status != "failed":  # it could not even begin, nor could the next
                raise
            study.tell(trial, state=TrialState.FAIL)
            return "failed"
        if status == "stopped" and given_up:
            _give_up(folder, given_up[0])
    if status != "done" and not folder.record().get(HOPELESS):
        return "stopped"
    value = distortion_of(folder) if status == "done" else None
    state = TrialState.PRUNED if status != "done" else TrialState.FAIL if value is None else TrialState.COMPLETE
    study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
    return "told"


def _give_up(folder: RunFolder, event: Mapping[str, Any]) -> None:
    """Write down why a trial was stopped, which was worse than the others were by then; nobody works on it any more."""
    why = (
        f"stopped early at iteration {event['iteration']} of {event['iterations']}: its least distortion is above the "
        "median of the other trials there; sfcore runs resume carries it on all the same"
    )
    folder.append({"type": "note", "text": why})
    folder.update(hopeless=why)


def _together(path: Path, search: Search, futures: list[Future[None]], watch: Watch | None) -> None:
    """Wait for all processes; an interruption asks every trial to stop."""
    try:
        while wait(futures, LOOK).not_done:
            if watch:
                watch(sum(each.state in ENDED for each in trials(path)), search.trials)
    except KeyboardInterrupt:
        while wait(futures, LOOK / 2).not_done:  # again and again: a run that begins clears an older request
            for each in trials(path):
                if each.state == "running":
                    RunFolder(each.run).request_stop()
        raise
    for future in futures:
        future.result()
