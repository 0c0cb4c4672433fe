"""Jobs on a Ray cluster; the machine that launches is one of its nodes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any, ClassVar

from sfcore.errors import InputError, installing
from sfcore.runs.cluster import Cluster
from sfcore.runs.job import Job
from sfcore.runs.launcher import LAUNCHERS

SECONDS = 120  # in which the cluster must have answered
KNOCKING = 5.0  # seconds in which a head that runs lets itself be connected to


@LAUNCHERS.register("ray")
class Ray(Cluster):
    """A detached actor a job, which Ray starts again on another node when its own goes away.

    Its address is HOST:PORT of the cluster's head; None for RAY_ADDRESS, or the cluster that runs on this machine. A
    head that starts anew without a Redis of its own knows no jobs: what they worked on has stopped, and can be resumed.
    """

    name = "ray"
    addresses: ClassVar[str | None] = (
        "HOST:PORT of the cluster's head; empty for $RAY_ADDRESS, or else the cluster that runs on this machine."
    )

    def refusal(self) -> str | None:
        """Ray is not installed, or nobody listens where the cluster's head should be."""
        if not find_spec("ray"):
            return f"the launcher ray needs the package ray: {installing('ray')}"
        try:
            knock(self.address or os.environ.get("RAY_ADDRESS") or "")
        except OSError as error:
            return self._out_of_reach(str(error))
        return None

    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        """As an actor's name each."""
        return list(self._ask({"submit": [asdict(job) for job in jobs]}))

    def living(self) -> frozenset[str]:
        """The names of actors that wait for a node, work, or are about to go on elsewhere."""
        return frozenset(self._ask({"living": True}))

    def cancel(self, jobs: Sequence[str]) -> None:
        """Their processes are killed."""
        self._ask({"cancel": list(jobs)})

    def _ask(self, request: Mapping[str, Any]) -> list[str]:
        """Ask in a process of its own: that of a driver ends when the cluster does."""
        if why := self.refusal():
            raise InputError(why)
        command = [sys.executable, "-m", "sfcore.runs.ray_driver", *([self.address] if self.address else [])]
        try:
            done = subprocess.run(
                command, input=json.dumps(request), capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{self._cluster} does not answer: see that its head runs (ray status)") from error
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise InputError(self._out_of_reach(said[0]))
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _out_of_reach(self, said: str) -> str:
        return f"{self._cluster} cannot be reached ({said[:200]}): start it (ray start), or give its address"

    @property
    def _cluster(self) -> str:
        return f"the Ray cluster {self.address}" if self.address else "the Ray cluster of this machine"


def knock(address: str) -> None:
    """See that somebody listens at HOST:PORT, for Ray tries for minutes. Raises OSError: nobody does."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and int(port) < 1 << 16:
        socket.create_connection((host, int(port)), KNOCKING).close()
