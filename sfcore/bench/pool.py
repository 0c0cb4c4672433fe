"""The workers of a bench on a cluster, as a pool that cells are given to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sfcore.bench.plan import Cell
from sfcore.bench.sources import Source
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.cluster import Cluster
from sfcore.runs.pool import WorkerPool, spool_in, workers
from sfcore.runs.spool import Errand

Carried = tuple[Cell, Path | None, tuple[Source, ...]]  # what :func:`sfcore.bench.cell.carry_out` is given


class ClusterPool(WorkerPool, Executor):
    """A pool whose workers are jobs of a cluster; a cell of one that dies is carried on by another.

    Args:
        launcher: of the cluster.
        count: of workers.
        gpus: that each is given.
        out: the folder of the bench, on storage that all machines share.
        say: is told what went wrong and what is done about it.
    """

    def __init__(self, launcher: Cluster, count: int, gpus: int, out: Path, say: Callable[[str], None]) -> None:
        spool = spool_in(out)
        jobs = workers("sfcore.bench.worker", "bench", spool, count, launcher.cores, gpus)
        super().__init__(launcher, jobs, spool, say)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a cell carried out; whatever the function, for a worker knows no other."""
        RunFolder(args[0].path).clear_stop()  # of a bench that was interrupted
        return self.put(written((args[0], args[1], args[2])))


def written(carried: Carried) -> Errand:
    """A cell and what goes with it, as an errand."""
    cell, curves, sources = carried
    about = {"path": str(cell.path), "spec": cell.spec.to_dict(), "label": cell.label, "budget": cell.budget}
    return {"cell": about, "curves": curves and str(curves), "sources": [asdict(source) for source in sources]}


def read(content: Errand) -> Carried:
    """What :func:`written` was given."""
    cell, curves = content["cell"], content["curves"]
    sources = [
        Source(each["name"], tuple(each["paths"]), each["limit"], tuple(each["formats"])) for each in content["sources"]
    ]
    found = Cell(Path(cell["path"]), RunSpec.from_dict(cell["spec"]), cell["label"], cell["budget"])
    return found, Path(curves) if curves else None, tuple(sources)
