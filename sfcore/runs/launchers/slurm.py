"""Jobs of Slurm, through submitit; the machine that launches has Slurm's commands."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from sfcore.errors import InputError, installing
from sfcore.files import advice
from sfcore.runs.cluster import Cluster
from sfcore.runs.job import Job
from sfcore.runs.launcher import LAUNCHERS
from sfcore.runs.slurm_job import SlurmJob

SLURM, HERE = "slurm", "local"  # submitit's names of Slurm, and of processes of this machine in its place
FILES = "jobs"  # folder of submitit's files, in the one that a job is given
MINUTES = 24 * 60  # of a job, after which it is queued again
TIMES = 100  # that a job may be out of time
SECONDS = 60  # in which Slurm must have answered


@LAUNCHERS.register(SLURM)
class Slurm(Cluster):
    """A job of Slurm's each, which it queues again when it is preempted, out of time, or its machine goes away.

    Partition, account and what else a site asks are Slurm's own variables, such as SBATCH_PARTITION. The address is
    submitit's name of where jobs go: None for Slurm, "local" for this machine, to try things out.
    """

    name = SLURM
    addresses: ClassVar[str | None] = f"Empty for Slurm; {HERE} for processes of this machine, to try things out."

    def refusal(self) -> str | None:
        """submitit is not installed, or there is no Slurm."""
        if not find_spec("submitit"):
            return f"the launcher slurm needs the package submitit: {installing('slurm')}"
        if self.address not in (None, SLURM, HERE):
            return f"the launcher slurm knows no address {self.address!r}: leave it out, or write {HERE}"
        if self.address != HERE and not shutil.which("sbatch"):
            return "there is no Slurm here (no command sbatch): launch where there is, or choose another launcher"
        return None

    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        """As an array, with ids such as "123_4"; of those jobs the first says what all of them need."""
        self._check()
        from submitit import AutoExecutor

        first = jobs[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Slurm's parameters, where it is not Slurm
            executor = AutoExecutor(Path(folder) / FILES, self.address or SLURM, slurm_max_num_timeout=TIMES)
            executor.update_parameters(
                name=first.name, timeout_min=MINUTES, cpus_per_task=first.cores, gpus_per_node=first.gpus
            )
            try:
                with executor.batch():
                    found = [executor.submit(SlurmJob(job)) for job in jobs]
            except Exception as error:  # submitit's own, and whatever sbatch says
                why = " ".join(str(error).split())[:300]
                raise InputError(f"Slurm refuses the job ({why}): see to its SBATCH_ variables") from error
        return [str(job.job_id) for job in found]

    def living(self) -> frozenset[str]:
        """All of this user's that wait or work."""
        self._check()
        if self.address == HERE:
            return frozenset(path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if _is_controller(path))
        return frozenset(_said(["squeue", "--me", "--array", "--noheader", "--format=%i"]).split())

    def cancel(self, jobs: Sequence[str]) -> None:
        """By scancel."""
        if self.address == HERE:
            for job in self.living() & set(jobs):
                os.kill(int(job), signal.SIGINT)
        else:
            _said(["scancel", *jobs])

    def _check(self) -> None:
        if why := self.refusal():
            raise InputError(why)


def _is_controller(path: Path) -> bool:
    """Whether a process is one that stands for a job of Slurm's on this machine."""
    try:
        return b"submitit.local" in path.read_bytes()
    except OSError:  # it has ended meanwhile
        return False


def _said(command: list[str]) -> str:
    """What a command of Slurm's prints. Raises InputError: it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"Slurm does not answer ({command[0]}): see that its controller runs (scontrol ping)"
        ) from error
    except OSError as error:
        raise InputError(f"{command[0]} cannot be started {advice(error)}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise InputError(f"{command[0]} fails ({said}): see that Slurm's controller runs (scontrol ping)")
    return done.stdout
