"""Runs take turns on a device: ``python -m sfcore.runs.queue FOLDER --lock N`` waits for the turn, then is the worker.

Many runs may wait at once, so what waits here is light: nothing but the standard library is imported before the turn
has come. A run is alive as long as a process holds its lock, and the operating system lets go of the lock however the
process ends; so whatever dies leaves the queue.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK, STOP, RECORD = "lock", "stop", "run.json"  # files of a run folder
GLANCE = 0.5  # seconds between two looks at the runs before


def take(descriptor: int, kind: int) -> bool:
    """Whether an open file could be locked now; ``kind`` is ``fcntl.LOCK_EX`` or ``fcntl.LOCK_SH``."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(run: Path) -> bool:
    """Whether a process works on a run or waits for its turn."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not take(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def next_turn(root: Path) -> Iterator[int]:
    """The number after all that the runs of a folder have; nobody else is given one until the block is left.

    Write it down inside the block: whoever has a higher number then sees it.
    """
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield 1 + max((_turn(_record(run)) for run in root.iterdir()), default=0)
    finally:
        os.close(descriptor)


def ahead(run: Path) -> list[Path]:
    """The live runs of the same folder and device that were launched before a run, the first one first.

    One that was started without waiting, on the command line, was there before all that wait.
    """
    run = run.resolve()
    return still_ahead(run, [other for other in run.parent.iterdir() if other != run])


def still_ahead(run: Path, others: Iterable[Path]) -> list[Path]:
    """Which of some runs are :func:`ahead` of a run: nobody joins them, for later launches have later turns."""
    own, found = _record(run), []
    for other in filter(is_alive, others):
        record = _record(other)
        if _turn(record) < _turn(own) and _device(record) in (_device(own), "auto"):
            found.append((_turn(record), other))
    return [other for _, other in sorted(found)]


def _record(run: Path) -> dict[str, Any]:
    """What run.json says; nothing where there is none that can be read."""
    try:
        content = json.loads((run / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _turn(record: dict[str, Any]) -> int:
    return int(record.get("turn") or 0)


def _device(record: dict[str, Any]) -> str | None:
    """The device that launching found, or the one that was asked for."""
    return record.get("device") or record.get("spec", {}).get("device")


def wait(run: Path) -> bool:
    """Wait for a run's turn; returns whether it came, rather than a request to stop."""
    before = ahead(run)
    while not (run / STOP).exists():
        if not before:
            return True
        time.sleep(GLANCE)
        before = still_ahead(run, before)
    return False


def main() -> None:
    """Wait, then become the worker: the same process, with the same lock."""
    parser = argparse.ArgumentParser(prog="python -m sfcore.runs.queue", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock", required=True, help="file descriptor of the run's lock, taken by the parent")
    arguments = parser.parse_args()
    if wait(arguments.folder):
        worker = [sys.executable, "-m", "sfcore.runs.worker", str(arguments.folder), "--lock", arguments.lock]
        os.execv(sys.executable, worker)


if __name__ == "__main__":
    main()
