"""The study of a search in Optuna: which trial is next, and what is told of it; one process among several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sfcore.errors import InputError, installing
from sfcore.search.folder import Search
from sfcore.search.samplers import GRID, sampler
from sfcore.search.space import Axis, Space

NAME = "search"
STARTUP = 4  # trials that end before others are judged by them


def check_installed() -> None:
    """Raises InputError: Optuna is not installed."""
    if not find_spec("optuna"):
        raise InputError(f"a search needs the package optuna: {installing('search')}")


class Study:
    """A search as Optuna knows it.

    Args:
        path: of the search.
        search: what is searched.
        space: its axes.

    Raises:
        InputError: Optuna is not installed.
    """

    def __init__(self, path: Path, search: Search, space: Space) -> None:
        check_installed()
        self.path, self.search, self.space = path, search, space
        with self._choosing():
            self.study = _open(path, search)
            if search.sampler == GRID and not self.study.trials:
                for point in space.points():
                    self.study.enqueue_trial(point)

    @contextmanager
    def next(self) -> Iterator[Any | None]:
        """A trial that nobody else works on, one that was left behind first; None where nothing is left to do."""
        with self._choosing():
            trial, lock = self._left_behind() or self._new()
        try:
            yield trial
        finally:
            lock.release()

    def _left_behind(self) -> tuple[Any, FileLock] | None:
        """A trial whose process stopped or died."""
        from optuna.trial import Trial, TrialState

        for each in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = self._lock(each.number)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            trial = Trial(self.study, each._trial_id)
            suggest(trial, self.space)
            return trial, lock
        return None

    def _new(self) -> tuple[Any | None, FileLock]:
        from optuna.trial import TrialState

        begun = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING]
        if len(begun) >= self.search.trials:
            return None, self._lock(-1)
        # A seed for each trial: what is drawn does not depend on which process draws, or on where it went on.
        self.study.sampler = sampler(self.search.sampler, self.search.seed + len(begun))
        trial = self.study.ask()
        lock = self._lock(trial.number)
        lock.acquire()
        suggest(trial, self.space)
        return trial, lock

    def _choosing(self) -> FileLock:
        return FileLock(self.path / "locks" / "choosing")

    def _lock(self, number: int) -> FileLock:
        return FileLock(self.path / "locks" / str(number))


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """The values of a trial, chosen when they are first asked for."""
    return {axis.name: _suggested(trial, axis) for axis in space.axes}


def _suggested(trial: Any, axis: Axis) -> Any:
    if axis.values:
        return trial.suggest_categorical(axis.name, axis.values)
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def _open(path: Path, search: Search) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(path / "journal.log")))
    pruner = optuna.pruners.MedianPruner(STARTUP) if search.early else optuna.pruners.NopPruner()
    return optuna.create_study(study_name=NAME, storage=storage, pruner=pruner, load_if_exists=True)
