"""The folder of a search, readable without Optuna; its trials are ordinary runs beside it.

===============  ==========================================================================================
search.json      what is searched: the run that is varied, the axes, the sampler
launched.json    how it was started in the background, and by whom
journal.log      the journal of Optuna, which several processes may write
locks/           one a trial, held by the process that works on it
lock, stop       shared by all processes that work on the search; asks them to stop
search.html      the trials as pictures, once a search has been carried out on the command line
worker.log       what the process in the background printed
../NAME-000      the run of the first trial, and so on: the app lists, compares and resumes it like any other
===============  ==========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from sfcore.errors import InputError
from sfcore.files import explained, write_json
from sfcore.records import AsTuple, record
from sfcore.runs import RunFolder, RunSpec
from sfcore.search.space import Space, Value

FILE = "search.json"
HOPELESS = "hopeless"  # in run.json: why a trial was stopped early
ENDED = ("done", "failed", HOPELESS)  # states of trials that are behind us


@record("the search")
class Search:
    """What is searched.

    Attributes:
        spec: of the run that is varied, as :meth:`RunSpec.to_dict` has it.
        over: the axes as they were written.
        sampler: what chooses the next values, by name.
        trials: how many at most.
        seed: of the sampler.
        early: whether hopeless trials are stopped.
    """

    spec: dict[str, Any]
    over: Annotated[tuple[str, ...], AsTuple]
    sampler: str
    trials: int
    seed: int = 0
    early: bool = True

    def space(self) -> Space:
        """The axes. Raises InputError: see :meth:`Space.parse`."""
        return Space.parse(RunSpec.from_dict(self.spec), self.over)

    def written(self) -> Space:
        """The axes without a look at detector and images. Raises InputError: they do not fit the method."""
        return Space.written(RunSpec.from_dict(self.spec), self.over)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "over": list(self.over)}


@dataclass(frozen=True)
class Trial:
    """One trial as its run folder tells it.

    Attributes:
        run: the run folder.
        params: the value on each axis.
        state: the run's status, or "hopeless" where it was stopped early.
        value: distortion on the held-back images, the least so far while it goes on; None before the first check.
        why: it was stopped early, or failed; "" where neither.
    """

    run: Path
    params: dict[str, Value]
    state: str
    value: float | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "run": str(self.run), "params": dict(self.params)}


def begin(path: Path, search: Search) -> Search:
    """Write down what is searched, or go on with what is there; more trials may be asked for.

    Raises:
        InputError: something else is searched there, or the folder cannot be written.
    """
    if (path / FILE).exists():
        there = read(path)
        differing = [
            f"{name} {old!r} there, {getattr(search, name)!r} now"
            for name, old in vars(there).items()
            if name != "trials" and old != getattr(search, name)
        ]
        if differing:
            raise InputError(f"{path} holds another search ({'; '.join(differing)}): choose another folder")
        search = replace(search, trials=max(search.trials, there.trials))
    with explained(path):
        (path / "locks").mkdir(parents=True, exist_ok=True)
    write_json(path / FILE, search.to_dict())
    return search


def read(path: Path) -> Search:
    """What is searched in a folder.

    Raises:
        InputError: nothing is, or the file is damaged.
    """
    try:
        content = json.loads((path / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} holds no search ({FILE}: {error}): check the path") from error
    if not isinstance(content, dict):
        raise InputError(f"{path / FILE} holds no search: restore it or delete the folder")
    return Search(**content)


def searches(root: Path) -> list[Path]:
    """The folders of searches whose runs are in a folder, newest first; without what cannot be read."""
    found = []
    for file in root.glob(f"*/{FILE}") if root.is_dir() else ():
        with suppress(InputError, OSError):
            read(file.parent).written()
            found.append((file.stat().st_mtime, file.parent))
    return [path for _, path in sorted(found, reverse=True)]


def run_path(path: Path, number: int) -> Path:
    """The run folder of a trial, beside the search's own."""
    return path.with_name(f"{path.name}-{number:03d}")


def trials(path: Path) -> list[Trial]:
    """What has been tried, in order. Raises InputError: the folder holds no search."""
    space = read(path).written()
    found = []
    for place in sorted(path.parent.glob(f"{path.name}-[0-9][0-9][0-9]*")):
        if place.name.removeprefix(f"{path.name}-").isdecimal() and (place / "run.json").is_file():
            found.append(_trial(RunFolder.open(place), space))
    return found


def _trial(run: RunFolder, space: Space) -> Trial:
    record: Mapping[str, Any] = run.record()
    status, why = run.status, record.get(HOPELESS) or ""
    state = HOPELESS if why and status == "stopped" else status
    return Trial(run.path, space.params(run.spec), state, value_of(run), why or record.get("error") or "")


def value_of(run: RunFolder) -> float | None:
    """The distortion that a run's tuned model has on its held-back images; before it is done, the least so far."""
    tuned = run.record().get("result", {}).get("tuned", {}).get("distortion")
    if tuned is not None:
        return float(tuned)
    checks = [event["best"] for event in run.events()[0] if event["type"] == "step" and event.get("best") is not None]
    return float(checks[-1]) if checks else None


def best_of(found: list[Trial]) -> Trial | None:
    """The finished trial with the least distortion."""
    done = [trial for trial in found if trial.state == "done" and trial.value is not None]
    return min(done, key=lambda trial: trial.value or 0.0) if done else None
