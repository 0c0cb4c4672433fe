"""What submitit carries out on a machine of Slurm's: a job that is queued again when it is preempted or out of time."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any

from sfcore.runs.job import Job


@dataclass(frozen=True)
class SlurmJob:
    """A job as submitit writes it into the folder of its files, and reads it there."""

    job: Job

    def __call__(self) -> None:
        self.job.carry_out(os.environ.get("SLURMD_NODENAME") or platform.node())

    def checkpoint(self) -> Any:
        """What shall be queued instead when Slurm warns: the same, for a run goes on from its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
