"""Jobs as child processes of this one, for commands that share their work out on this machine alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sfcore.runs.job import Job, node_name


class LocalJobs:
    """What a cluster is to :class:`sfcore.runs.pool.WorkerPool`, without one."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}

    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        """Begin jobs; each is waited for by a thread, and started again when it is killed."""
        begun = []
        for job in jobs:
            thread = threading.Thread(target=job.carry_out, args=(node_name(),), daemon=True)
            name = str(len(self._threads))
            self._threads[name] = thread
            thread.start()
            begun.append(name)
        return begun

    def living(self) -> frozenset[str]:
        """Those whose process has not ended."""
        return frozenset(name for name, thread in self._threads.items() if thread.is_alive())

    def cancel(self, jobs: Sequence[str]) -> None:
        """Wait for them: workers go home by themselves once their spool is closed."""
        for job in jobs:
            self._threads[job].join()
