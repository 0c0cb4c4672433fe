"""Launchers: what starts a run as a process of its own, here or elsewhere; each is one file in ``runs/launchers``.

A run's record names the launcher that it was launched by. The run folder is what a worker and those who follow it have
in common: the worker holds its lock while it works, sees a request to stop in it, and prints into its worker.log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sfcore.files import explained
from sfcore.registries import Registry
from sfcore.runs import queue

if TYPE_CHECKING:
    from sfcore.runs.folder import RunFolder

LOCAL = queue.LOCAL  # the launcher of runs whose record names none
LOG = "worker.log"
LONGEST = 20_000  # bytes of a log that are read


@dataclass(frozen=True)
class Launcher(ABC):
    """One way to start runs.

    Its objects have no state, for whoever follows a run is another process than the one that launched it: what it must
    know of a run later, such as the number of a job, goes to the run's record. What is not abstract holds where workers
    run on the machine that asks; a launcher whose runs wait or work elsewhere asks there, too: see
    :class:`sfcore.runs.cluster.Cluster`.

    Attributes:
        address: of the machines that the launcher starts runs on, in words of its own; None for the usual ones.
        cores: of a processor that each run is given, where the launcher gives any.
        addresses: what its addresses are, for people; None where it has none.
        gives_cores: whether it gives any.
    """

    addresses: ClassVar[str | None] = None
    gives_cores: ClassVar[bool] = False

    address: str | None = None
    cores: int = 1

    @abstractmethod
    def launch(self, run: RunFolder) -> int | str:
        """Start a run, or put it in a queue; from now on it is alive.

        Whoever overrides this calls :meth:`RunFolder.enqueue` while holding the run's lock.

        Returns:
            The id of its process or job, for people.

        Raises:
            InputError: the run is done or being worked on, or cannot be started.
        """

    def refusal(self) -> str | None:
        """Why nothing can be launched by it here, and what to do about that; None where it can."""
        return None

    def is_alive(self, run: RunFolder) -> bool:
        """Whether a process works on the run or waits for its turn."""
        return queue.is_alive(run.path)

    def stop(self, run: RunFolder) -> None:
        """Ask a run that is alive to stop after its present step, or to leave the queue; it can be resumed."""
        run.request_stop()

    def log(self, run: RunFolder) -> str:
        """What the run's processes printed, or the end of it; "" where there is nothing."""
        path = run.path / LOG
        if not path.is_file():
            return ""
        with explained(path, "read"):
            return path.read_bytes()[-LONGEST:].decode(errors="replace")


LAUNCHERS: Registry[type[Launcher]] = Registry("launcher", "sfcore.runs.launchers")


def launcher_of(run: RunFolder) -> Launcher:
    """What a run was launched by. Raises InputError: there is no such launcher here."""
    record = queue.read_record(run.path)
    return LAUNCHERS[queue.launcher_name(record)](record.get("address"), record.get("cores") or 1)
