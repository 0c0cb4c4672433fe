"""Local runs take turns on a device: ``python -m sfcore.runs.queue FOLDER --lock N`` waits, then is the worker.

Many runs may wait at once, so what waits here is light: nothing but the standard library is imported before the turn
has come. A run is alive as long as a process holds its lock, and the operating system lets go of the lock however the
process ends; so whatever dies leaves the queue.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sfcore.locks import take

LOCK, STOP, RECORD = "lock", "stop", "run.json"  # files of a run folder
LOCAL = "local"  # the launcher of what waits here
GLANCE = 0.5  # seconds between two looks at the runs before


def is_alive(run: Path) -> bool:
    """Whether a process of this machine works on a run or waits for its turn."""
    try:
        descriptor = os.open(run / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not take(descriptor, shared=True)
    finally:
        os.close(descriptor)


def ahead(run: Path) -> list[Path]:
    """The live runs of the same folder, launcher and device that were launched before a run, the first one first.

    One that was started without waiting, on the command line, was there before all that wait.
    """
    run = run.resolve()
    return still_ahead(run, [other for other in run.parent.iterdir() if other != run])


def still_ahead(run: Path, others: Iterable[Path]) -> list[Path]:
    """Which of some runs are :func:`ahead` of a run: nobody joins them, for later launches have later turns."""
    own, found = read_record(run), []
    for other in filter(is_alive, others):
        record = read_record(other)
        here = launcher_name(record) == launcher_name(own) and _device(record) in (_device(own), "auto")
        if here and turn_of(record) < turn_of(own):
            found.append((turn_of(record), other))
    return [other for _, other in sorted(found)]


def read_record(run: Path) -> dict[str, Any]:
    """What run.json says; nothing where there is none that can be read."""
    try:
        content = json.loads((run / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def turn_of(record: dict[str, Any]) -> int:
    """When a run was launched among those beside it; 0 for one that was started without waiting."""
    return int(record.get("turn") or 0)


def launcher_name(record: dict[str, Any]) -> str:
    """The name of the launcher that a run was launched by."""
    return record.get("launcher") or LOCAL


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
