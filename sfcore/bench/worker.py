"""A worker of a bench on a cluster: ``python -m sfcore.bench.worker SPOOL`` carries out cells until none is left."""

from __future__ import annotations

from sfcore.bench.cell import carry_out
from sfcore.bench.pool import read
from sfcore.runs.errands import serve
from sfcore.runs.folder import Status
from sfcore.runs.job import PATIENCE
from sfcore.runs.spool import Errand


def carried_out(errand: Errand) -> Status:
    """How a cell ended."""
    return carry_out(*read(errand), patience=PATIENCE)


if __name__ == "__main__":
    serve(carried_out)
