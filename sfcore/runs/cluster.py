"""Launchers of clusters: a run is a job that waits there for a free machine; its folder is on storage that all share.

Who works on a run is decided by the lock in its folder, which the operating system lets go of with the process, and a
network file system with the machine. The cluster is asked only about runs that nobody works on: whether they wait.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from cachetools import TTLCache

from sfcore.errors import InputError
from sfcore.runs import queue
from sfcore.runs.folder import RunFolder
from sfcore.runs.job import PATIENCE, Job
from sfcore.runs.launcher import LAUNCHERS, LOCAL, LOG, Launcher
from sfcore.runs.record import LAUNCHED

FRESH = 5.0  # seconds for which an answer of the cluster is believed: pages ask for each run
_answers: TTLCache[tuple[type, str | None], frozenset[str]] = TTLCache(16, FRESH)


class Cluster(Launcher):
    """Jobs on machines of which each shares the run folders, and has the same Python packages, with this one.

    Attributes:
        name: among the launchers.
    """

    name: ClassVar[str]
    gives_cores: ClassVar[bool] = True

    @abstractmethod
    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        """Queue jobs, which outlive this process; what a machine that goes away worked on begins again on another.

        Args:
            folder: for files of the cluster, shared by all machines.

        Returns:
            Their ids.

        Raises:
            InputError: the cluster cannot be reached, or will not have them.
        """

    @abstractmethod
    def living(self) -> frozenset[str]:
        """The ids of the jobs that wait or work. Raises InputError: the cluster cannot be reached."""

    @abstractmethod
    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs at once. Raises InputError: the cluster cannot be reached."""

    def launch(self, run: RunFolder) -> str:
        """Queue the run's worker; two launchers that come at once are told apart by the run's lock."""
        folder = run.path.resolve()
        with run.lock():
            if self._waits(run, self.living()):
                raise InputError(f"the run {run.path} waits on a cluster already: stop it first (sfcore runs stop)")
            run.enqueue(self.name, address=self.address, cores=self.cores)
            (job,) = self.submit([self._job(run, str(folder))], str(folder))
            run.update(job=job)
        _answers.clear()
        return job

    def is_alive(self, run: RunFolder) -> bool:
        """Whether a process works on the run, or the cluster has its job; one that is out of reach has none."""
        return super().is_alive(run) or self._waits(run, None)

    def stop(self, run: RunFolder) -> None:
        """As everywhere; a job that waits leaves the cluster's queue at once."""
        super().stop(run)
        job = queue.read_record(run.path).get("job")
        if job and not super().is_alive(run):
            self.cancel([str(job)])
            _answers.clear()

    def _job(self, run: RunFolder, folder: str) -> Job:
        command = ("sfcore.runs.worker", folder, "--patience", str(PATIENCE))
        return Job(run.name, command, f"{folder}/{LOG}", self.cores, self.gpus(run.spec.device))

    @staticmethod
    def gpus(device: str) -> int:
        """How many a worker is given: one where it is asked to use it, for "auto" takes what there is."""
        return int(device.startswith("cuda"))

    def _waits(self, run: RunFolder, living: frozenset[str] | None) -> bool:
        """Whether the cluster has the run's job.

        Args:
            living: its jobs; None for what it said lately.
        """
        record = queue.read_record(run.path)
        job = record.get("job")
        if not job or record.get("status") not in LAUNCHED:
            return False
        return str(job) in (self._lately() if living is None else living)

    def _lately(self) -> frozenset[str]:
        key = type(self), self.address
        if key not in _answers:
            try:
                _answers[key] = self.living()
            except InputError:
                _answers[key] = frozenset()
        return _answers.get(key, frozenset())


def cluster_of(launcher: str, address: str | None, cores: int) -> Cluster | None:
    """The cluster that options name; None for this machine.

    Raises:
        InputError: it cannot be used, or can have no workers.
    """
    found = LAUNCHERS[launcher](address, cores)
    if why := found.refusal():
        raise InputError(why)
    if isinstance(found, Cluster):
        return found
    if launcher != LOCAL or address:
        raise InputError(f"the launcher {launcher} has no workers elsewhere: leave it and --address out")
    return None
