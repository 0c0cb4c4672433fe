"""Processes on this machine, which take turns on a device: see :mod:`sfcore.runs.queue`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sfcore.devices import resolve_device
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.runs import queue
from sfcore.runs.folder import RunFolder
from sfcore.runs.launcher import LAUNCHERS, LOCAL, LOG, Launcher

_TURN_LOCK = ".turn.lock"  # beside the runs


@LAUNCHERS.register(LOCAL)
class Local(Launcher):
    """A process that waits until no live run of the same folder and device that was launched before is left."""

    def launch(self, run: RunFolder) -> int:
        """The lock is taken here and handed to the child, so the run is alive from the moment this returns."""
        if self.address:
            raise InputError(f"the launcher {LOCAL} has no address such as {self.address!r}: leave it out")
        device = resolve_device(run.spec.device).type
        path = run.path.resolve()
        with run.lock() as descriptor, explained(path / LOG):
            with next_turn(path.parent) as turn:
                run.enqueue(LOCAL, turn=turn, device=device)
            command = [sys.executable, "-m", "sfcore.runs.queue", str(path), "--lock", str(descriptor)]
            with (path / LOG).open("ab") as log:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[descriptor],
                    start_new_session=True,
                )  # fmt: skip
        return process.pid


@contextmanager
def next_turn(root: Path) -> Iterator[int]:
    """The number after all that the runs of a folder have; nobody else is given one until the block is left.

    Write it down inside the block: whoever has a higher number then sees it.
    """
    with FileLock(root / _TURN_LOCK):
        yield 1 + max((queue.turn_of(queue.read_record(run)) for run in root.iterdir()), default=0)
