"""A job: a command that a cluster carries out on one of its machines, as a child of whatever the cluster starts there.

The standard library is enough for what is here: the parent waits, and all that is heavy is in the child.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfcore.runs.patience import patiently

NODE = "SFCORE_NODE"  # what the cluster calls the machine, where several of one name are possible
PASSED = ("PYTHONPATH", "SFCORE_PLUGINS")  # variables of whoever launches that the command needs as well
PATIENCE = 300.0  # seconds that a worker elsewhere waits for what passes: storage, or the lock of one that has died
TRIES = 3  # starts of a command that is killed again and again
PAUSE = 1.0  # seconds between two of them
# What clusters send before they end a job, after which it shall go on elsewhere: it resumes from its last checkpoint.
WARNINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def node_name() -> str:
    """The machine that this process works on."""
    return os.environ.get(NODE) or platform.node()


@dataclass(frozen=True)
class Job:
    """A command for whichever machine is free.

    Attributes:
        name: for people.
        command: a module of Python and its arguments; it calls :func:`tie`.
        log: the file that gets what it prints.
        cores, gpus: what it needs.
        environment: variables beside those of the machine.
    """

    name: str
    command: Sequence[str]
    log: str
    cores: int = 1
    gpus: int = 0
    environment: Mapping[str, str] = field(
        default_factory=lambda: {name: os.environ[name] for name in PASSED if name in os.environ}
    )

    def carry_out(self, node: str) -> None:
        """Run the command until it ends by itself; start it again when it is killed.

        Args:
            node: what the cluster calls this machine.
        """
        for _ in range(TRIES):
            if patiently(lambda: self._run(node), PATIENCE) >= 0:
                return
            time.sleep(PAUSE)

    def _run(self, node: str) -> int:
        """Its exit code; -N where signal N ended it."""
        more = {NODE: node, "OMP_NUM_THREADS": str(self.cores), **self.environment}
        with Path(self.log).open("ab") as log:
            command = [sys.executable, "-m", *self.command]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": log, "stderr": log}
            with subprocess.Popen(command, env=os.environ | more, start_new_session=True, **pipes) as child:
                return child.wait()


def tie() -> None:
    """For the process of a command: end with the parent, however that ends, and not for a warning."""
    for number in WARNINGS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # the other end is the parent's, and nothing is ever written there
        pass
    os._exit(1)
