"""What a command takes: by the clock, of the processor, and of the memory, with all processes that it starts."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.rows import Row
from sfcore.memory import said

GLANCE = 0.5  # seconds between two looks at the memory
LAST_WORDS = 600  # characters


def took(*words: object, module: str = "sfcore") -> tuple[Row, str]:
    """Run a module with arguments.

    Returns:
        ``seconds`` by the clock, ``processor`` seconds of all processes and of the command's ``own``, ``peak_mb`` of
        the largest with what it has mapped, ``together_mb`` of all at once without that, and the ``load`` of the
        machine; and what it printed.

    Raises:
        RuntimeError: it failed.
    """
    command, begun = [sys.executable, "-m", module, *map(str, words)], time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process, Watch(process.pid) as watch:  # type: ignore[call-overload]
        printed, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {said[-LAST_WORDS:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "seconds": round(time.monotonic() - begun, 2),
        "processor": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "own": round(watch.own, 2),
        "peak_mb": round(watch.largest / 1e6, 1),
        "together_mb": round(watch.together / 1e6, 1),
        "load": round(os.getloadavg()[0], 1),
    }
    return found, printed


class Watch:
    """The memory of a process and its descendants, for the length of a block.

    Attributes:
        largest: bytes of the one that took most, which the system keeps count of.
        own: seconds of the processor that it took itself.
        together: bytes of all at once, as looks at them found it, without mapped files such as libraries.
    """

    def __init__(self, process: int) -> None:
        self.process, self.largest, self.together, self.own = process, 0, 0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(GLANCE):
            each = list(family(self.process))
            self.own = max(self.own, processor(self.process))
            self.largest = max(self.largest, *(kept(one, "VmHWM") for one in each))
            self.together = max(self.together, sum(kept(one, "RssAnon") for one in each))


def family(process: int) -> Iterator[int]:
    """A process and its descendants, whichever thread started them."""
    yield process
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in tasks.read_text().split():
                yield from family(int(child))


def kept(process: int, name: str) -> int:
    """Bytes that Linux says of a process under a name; 0 once it has ended."""
    with suppress(OSError, KeyError):
        return said(Path(f"/proc/{process}/status"), name)
    return 0


def processor(process: int) -> float:
    """Seconds of the processor that a process took, without its children; 0 once it has ended."""
    with suppress(OSError):
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0
