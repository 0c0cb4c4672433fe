"""Who works on a search: processes come and go, and each keeps to itself a lock that ends with it; a file stops all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sfcore.errors import InputError
from sfcore.files import explained, write_atomic
from sfcore.locks import take
from sfcore.runs import RunFolder
from sfcore.runs.launcher import launcher_of
from sfcore.search.folder import trials

STOP = "stop"
_SEAT = "at-work-"  # the lock of one process among several, with a number that nobody else has


@contextmanager
def at_work(path: Path, inherited: int | None = None) -> Iterator[int]:
    """Be one of those who work on a search; yields the descriptor of a lock, which a child process may inherit.

    Args:
        inherited: the descriptor that the parent process was given.

    Raises:
        InputError: the folder cannot be written.
    """
    descriptor = _seat(path / "locks") if inherited is None else inherited
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _seat(locks: Path) -> int:
    """The first lock that is free, taken; one that somebody glances at is passed over."""
    for number in count():
        with explained(locks):
            descriptor = os.open(locks / f"{_SEAT}{number}", os.O_RDWR | os.O_CREAT)
        if take(descriptor):
            return descriptor
        os.close(descriptor)
    raise AssertionError("there is always another number")


def is_alive(path: Path) -> bool:
    """Whether a process of this machine works on a search."""
    return any(map(_is_taken, (path / "locks").glob(f"{_SEAT}*")))


def _is_taken(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        return not take(descriptor, shared=True)
    finally:
        os.close(descriptor)


def stop(path: Path) -> None:
    """Ask all who work on a search to stop, and its running trials to do so after their present step.

    Raises:
        InputError: nobody works on it.
    """
    if not is_alive(path):
        raise InputError(f"the search {path} is not going on: nothing to stop")
    write_atomic(path / STOP, b"")
    for trial in trials(path):
        run = RunFolder(trial.run)
        if run.is_alive():
            launcher_of(run).stop(run)


def stop_requested(path: Path) -> bool:
    """Whether a search was asked to stop since somebody began to work on it."""
    return (path / STOP).exists()


def clear_stop(path: Path) -> None:
    """Forget that a search was asked to stop; for whoever begins to work on it when nobody else does."""
    if not is_alive(path):
        (path / STOP).unlink(missing_ok=True)
