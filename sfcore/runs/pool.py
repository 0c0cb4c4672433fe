"""Workers on other machines, or in other processes of this one, that errands are given to: see
:mod:`sfcore.runs.spool`."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

from sfcore.errors import InputError
from sfcore.files import clear_away, explained
from sfcore.runs.job import PATIENCE, TRIES, Job
from sfcore.runs.patience import patiently
from sfcore.runs.spool import DRIVER, Errand, Spool

GLANCE = 0.2  # seconds between two looks at the spool
ROLL_CALL = 10.0  # seconds between two looks whether the cluster still has the workers
LAST_WORDS = 300  # characters of workers that cannot begin


class Hirer(Protocol):
    """Where workers come from; see :class:`sfcore.runs.cluster.Cluster`."""

    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        """Begin jobs; their ids."""

    def living(self) -> frozenset[str]:
        """The ids of those that have not ended."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs."""


class WorkerPool:
    """A pool whose workers are jobs; an errand of one that dies is done by another.

    The spool is removed at the end, but where something went wrong it stays, with what workers printed.

    Args:
        hirer: of the workers.
        jobs: the workers, each of which calls :func:`sfcore.runs.errands.serve` on the spool.
        spool: a new folder on storage that all machines share.
        say: is told what went wrong and what is done about it.
    """

    def __init__(self, hirer: Hirer, jobs: Sequence[Job], spool: Spool, say: Callable[[str], None]) -> None:
        self.launcher, self.spool, self.say = hirer, spool, say
        self._wanted = jobs
        self._jobs: list[str] = []
        self._open: dict[int, Future[Any]] = {}
        self._count, self._losses = 0, Counter[int]()
        self._begun, self._barren = 0, 0  # workers that have begun; times in a row that nobody who was hired did
        self._refusal: str | None = None  # why nothing more can be done
        self._failed = False
        self._ending = threading.Event()

    def put(self, errand: Errand) -> Future[Any]:
        """Have an errand done. Raises InputError: it cannot be written, nor minutes later."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._count += 1
        number = self._count
        self._open[number] = future
        patiently(lambda: self.spool.put(number, errand), PATIENCE, self._tell_of_storage)
        if self._refusal:
            self._fail(number, self._refusal)
        return future

    @contextmanager
    def working(self) -> Iterator[Self]:
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
        if not self._failed:
            clear_away(self.spool.path)

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

    def _tell_of_storage(self, why: str, seconds: float) -> None:
        self.say(f"storage failed ({why}), for {seconds:.0f} s: trying again")

    def _look(self) -> None:
        for number, how in self.spool.ended():
            if "error" in how:
                self._fail(number, how["error"])
            elif future := self._open.pop(number, None):
                future.set_result(how["done"])
        for number, worker in self.spool.put_back():
            self._losses[number] += 1
            self.say(f"a worker died ({worker}): another goes on with its work")
            if self._losses[number] >= TRIES:
                self._fail(number, f"its worker died {TRIES} times (for want of memory?): run the same command again")

    def _call_roll(self) -> None:
        """Hire again where the cluster has lost jobs, as a head does that starts anew."""
        try:
            living = self.launcher.living()
            lost = [job for job in self._jobs if job not in living]
            if lost and self._worth_hiring():
                self.say(f"the cluster has lost {len(lost)} workers: hiring as many")
                fresh = self.launcher.submit(self._wanted[: len(lost)], str(self.spool.path))
                self._jobs = [*(job for job in self._jobs if job in living), *fresh]
            elif lost and len(lost) == len(self._jobs):
                self._give_up()
        except (OSError, InputError) as error:
            self.say(f"{error}; trying again")

    def _worth_hiring(self) -> bool:
        """Whether those who are hired begin, or have not been tried often enough: with a package that is missing they
        end at once, for ever."""
        begun = self.spool.begun
        self._barren = 0 if begun > self._begun else self._barren + 1
        self._begun = begun
        return self._barren < TRIES

    def _give_up(self) -> None:
        log = Path(self._wanted[0].log)
        words = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
        said = words[-1][:LAST_WORDS] if words else "they print nothing"
        self._refusal = f"workers end before they begin ({said}): see {log}, mend it, then run the same command again"
        for number in list(self._open):
            self._fail(number, self._refusal)

    def _fail(self, number: int, why: str) -> None:
        """End an errand with an error, unless it has ended."""
        self._failed = True
        if future := self._open.pop(number, None):
            future.set_exception(InputError(why))


def spool_in(out: Path) -> Spool:
    """A new spool in the folder of a command's results."""
    return Spool(out.resolve() / "workers" / f"{time.strftime('%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}")


def workers(module: str, name: str, spool: Spool, count: int, cores: int, gpus: int) -> list[Job]:
    """Jobs that run a module, each as a worker of a spool.

    Args:
        name: for people.
    """
    folder = str(spool.path)
    return [Job(name, (module, folder), f"{folder}/worker.log", cores, gpus)] * count
