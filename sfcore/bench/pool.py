"""The workers of a bench on a cluster, as a pool that cells are given to; see :mod:`sfcore.bench.spool`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sfcore.bench.spool import DRIVER, Spool
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.runs import RunFolder
from sfcore.runs.cluster import Cluster
from sfcore.runs.job import TRIES, Job

GLANCE = 0.2  # seconds between two looks at the spool
ROLL_CALL = 10.0  # seconds between two looks whether the cluster still has the workers


class ClusterPool(Executor):
    """A pool whose workers are jobs of a cluster; a cell of one that dies is carried on by another.

    Args:
        launcher: of the cluster.
        count: of workers.
        gpus: that each is given.
        spool: a new folder on storage that all machines share.
        say: is told what went wrong and what is done about it.
    """

    def __init__(self, launcher: Cluster, count: int, gpus: int, spool: Spool, say: Callable[[str], None]) -> None:
        self.launcher, self.spool, self.say = launcher, spool, say
        folder = str(spool.path)
        job = Job("bench", ("sfcore.bench.worker", folder), f"{folder}/worker.log", launcher.cores, gpus)
        self._wanted: Sequence[Job] = [job] * count
        self._jobs: list[str] = []
        self._open: dict[int, Future[Any]] = {}
        self._count, self._losses = 0, Counter[int]()
        self._ending = threading.Event()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a cell carried out; whatever the function, for a worker knows no other."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._count += 1
        self._open[self._count] = future
        RunFolder(args[0].path).clear_stop()  # of a bench that was interrupted
        self.spool.put(self._count, (args[0], args[1], args[2]))
        return future

    @contextmanager
    def working(self) -> Iterator[ClusterPool]:
        """Hire the workers, and send them home at the end. Raises InputError: the cluster will not have them."""
        with explained(self.spool.path):
            self.spool.make()
        with self.spool.hold(DRIVER):
            self._jobs = self.launcher.submit(self._wanted, str(self.spool.path))
            thread = threading.Thread(target=self._watch, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self._ending.set()
                thread.join()
                with suppress(OSError):
                    self.spool.close()
                with suppress(InputError):
                    self.launcher.cancel(self._jobs)

    def _watch(self) -> None:
        """Look at the spool again and again; storage that is out of reach is looked at later."""
        called = time.monotonic()
        while not self._ending.wait(GLANCE):
            try:
                self._look()
            except (OSError, InputError) as error:
                self.say(f"the spool cannot be read now ({error}): looking again")
                self._ending.wait(ROLL_CALL)
            if time.monotonic() - called > ROLL_CALL:
                self._call_roll()
                called = time.monotonic()

    def _look(self) -> None:
        for number, how in self.spool.ended():
            future = self._open.pop(number)
            future.set_exception(InputError(how["error"])) if "error" in how else future.set_result(how["status"])
        for number, worker in self.spool.put_back():
            self._losses[number] += 1
            self.say(f"a worker died ({worker}): another goes on with its cell")
            if self._losses[number] >= TRIES and number in self._open:
                why = f"its worker died {TRIES} times (for want of memory?): run the same command again"
                self._open.pop(number).set_exception(InputError(why))

    def _call_roll(self) -> None:
        """Hire again where the cluster has lost jobs, as a head does that starts anew."""
        try:
            living = self.launcher.living()
            lost = [job for job in self._jobs if job not in living]
            if lost:
                self.say(f"the cluster has lost {len(lost)} workers: hiring as many")
                fresh = self.launcher.submit(self._wanted[: len(lost)], str(self.spool.path))
                self._jobs = [*(job for job in self._jobs if job in living), *fresh]
        except InputError as error:
            self.say(f"{error}; trying again")


def spool_in(out: Path) -> Spool:
    """A new spool in the folder of a bench."""
    return Spool(out.resolve() / "workers" / time.strftime("%m%d-%H%M%S"))
