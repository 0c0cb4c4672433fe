"""Work on many images in shards: parts of so many images each, whoever and however many do them.

What a shard's result is depends on its images alone, and the results are merged in the order of the images; so the
figures are the same to the last bit whatever the number of workers. (One process without shards may batch images
otherwise, which moves the last bits of sums.) A result is one file, written whole: a shard whose
file is there is not done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.runs.cluster import Cluster, cluster_of
from sfcore.runs.launcher import LOCAL
from sfcore.runs.local_jobs import LocalJobs
from sfcore.runs.pool import Hirer, WorkerPool, spool_in, workers
from sfcore.runs.spool import Errand

LOOK = 0.5  # seconds between two reports
SIGN = 12  # hex digits that tell the shards of one request from those of another

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Crew:
    """Who does the shards.

    Attributes:
        launcher, address, cores: as of runs: see :class:`sfcore.runs.launcher.Launcher`.
        count: of workers.
        device: that each works on.
        say: is told what went wrong and what is done about it.
    """

    launcher: str = LOCAL
    address: str | None = None
    cores: int = 1
    count: int = 1
    device: str = "auto"
    say: Callable[[str], None] = print

    @property
    def alone(self) -> bool:
        """Whether the command itself does the work. Raises InputError: the launcher cannot have workers."""
        if self.count < 1:
            raise InputError(f"{self.count} workers can do nothing: choose 1 or more")
        return self._hirer() is None

    def _hirer(self) -> Hirer | None:
        if cluster := cluster_of(self.launcher, self.address, self.cores):
            return cluster
        return LocalJobs() if self.count > 1 else None

    def hired(self, module: str, name: str, out: Path) -> WorkerPool:
        """A pool of workers that run a module: see :func:`sfcore.runs.errands.serve`."""
        spool, gpus = spool_in(out), Cluster.gpus(self.device)
        jobs = workers(module, name, spool, self.count, self.cores, gpus)
        return WorkerPool(self._hirer() or LocalJobs(), jobs, spool, self.say)


@dataclass(frozen=True)
class Shard:
    """Images ``start`` to ``stop`` (exclusive) of a request, and the file that gets its result."""

    start: int
    stop: int
    file: Path


def shards_of(folder: Path, count: int, size: int, end: str) -> list[Shard]:
    """Shards of ``size`` images each; the last may have fewer. Their files are called by the first image."""
    starts = range(0, count, size)
    return [Shard(start, min(start + size, count), folder / f"{start:08}{end}") for start in starts]


def folder_of(out: Path, request: Mapping[str, Any]) -> Path:
    """Where the shards of a request lie, and of no other."""
    sign = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:SIGN]
    found = out.resolve() / "shards" / sign
    with explained(found):
        found.mkdir(parents=True, exist_ok=True)
    return found


def each_done(
    pool: WorkerPool, request: Errand, shards: Sequence[Shard], progress: Progress | None = None
) -> Iterator[Shard]:
    """Have shards done, and give them back in their order, each once its file is there.

    Args:
        request: what workers must know beside the shard.
        progress: called with (images done, images in all).

    Raises:
        InputError: a shard cannot be done; those that are done stay so.
    """
    missing = [shard for shard in shards if not shard.file.is_file()]
    total, begun = sum(shard.stop - shard.start for shard in shards), {}
    if not missing:
        yield from shards
        return
    with pool.working():
        for shard in missing:
            errand = {**request, "start": shard.start, "stop": shard.stop, "file": str(shard.file)}
            begun[shard] = pool.put(errand)
        for shard in shards:
            while shard in begun and not wait([begun[shard]], LOOK).done:
                _tell(progress, total, [each for each, future in begun.items() if not future.done()])
            if shard in begun:
                begun[shard].result()
            yield shard
        _tell(progress, total, [])


def _tell(progress: Progress | None, total: int, missing: Sequence[Shard]) -> None:
    if progress:
        progress(total - sum(shard.stop - shard.start for shard in missing), total)
