"""Starting, stopping and finding runs."""

from __future__ import annotations

import os
from pathlib import Path

from sfcore.errors import InputError
from sfcore.runs import queue
from sfcore.runs.folder import RunFolder
from sfcore.runs.launcher import LAUNCHERS, launcher_of
from sfcore.runs.spec import RunSpec


def default_root() -> Path:
    """Where runs are kept unless said otherwise: $SFCORE_RUNS, or ``runs`` in the current folder."""
    return Path(os.environ.get("SFCORE_RUNS", "runs"))


def create_or_resume(path: Path, spec: RunSpec) -> RunFolder:
    """The run at ``path``: a new one, or the one that is there when it has the same specification.

    Raises:
        InputError: the specification is wrong, or the folder holds a run of another one or of other weights.
    """
    spec = spec.absolute()
    spec.validate()
    if not (path / "run.json").exists():
        return RunFolder.create(path, spec)
    folder = RunFolder.open(path)
    theirs, ours = folder.spec.absolute().to_dict(), spec.to_dict()
    differing = [f"{key} {theirs[key]!r} there, {ours[key]!r} now" for key in ours if theirs[key] != ours[key]]
    if differing:
        raise InputError(f"{path} holds another run ({'; '.join(differing)}): choose another folder")
    folder.check_weights()
    return folder


def launch(folder: RunFolder, launcher: str | None = None, address: str | None = None, cores: int = 1) -> int | str:
    """Start a run as a process of its own, which outlives this one; returns the id of its process or job.

    Args:
        launcher: by name; None for the one that the run was launched by before, where and as it was, or else a process
            on this machine.
        address, cores: of a launcher that is named: see :class:`sfcore.runs.launcher.Launcher`.

    Raises:
        InputError: there is no such launcher, the run is done or being worked on, its folder cannot be written, or its
            device is not there.
    """
    chosen = LAUNCHERS[launcher](address, cores) if launcher else launcher_of(folder)
    if folder.is_alive():  # perhaps by another launcher, which nobody but itself knows
        raise InputError(f"the run {folder.path} is being worked on already: wait, or stop it (sfcore runs stop)")
    return chosen.launch(folder)


def unused(path: Path) -> Path:
    """``path``, or the same with a number where a run of the same second has that name, by the clock."""
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(each for each in names if not each.exists())


def ahead(folder: RunFolder) -> list[RunFolder]:
    """The runs that a launched one waits for, in the order in which they were launched."""
    return [RunFolder(path) for path in queue.ahead(folder.path)]


def is_alive(folder: RunFolder) -> bool:
    """Whether a process works on the run or waits for its turn."""
    return folder.is_alive()


def stop(folder: RunFolder) -> None:
    """Ask a run to stop after its present step, or to leave the queue; it can be resumed.

    Raises:
        InputError: no worker is on it.
    """
    if not folder.is_alive():
        raise InputError(f"the run {folder.path} is not going on (it is {folder.status}): nothing to stop")
    launcher_of(folder).stop(folder)


def log(folder: RunFolder) -> str:
    """What a launched run's processes printed, or the end of it; "" where there is nothing."""
    return launcher_of(folder).log(folder)


def list_runs(root: Path) -> list[RunFolder]:
    """The runs in a folder, newest first; without what is no run, of another version, or of a launcher unknown here."""
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        try:
            folder = RunFolder.open(path)
            launcher_of(folder)
            found.append((folder.record()["created"], folder))
        except (InputError, KeyError):
            continue
    return [folder for _, folder in sorted(found, key=lambda pair: pair[0], reverse=True)]
