"""A worker of a bench on a cluster: ``python -m sfcore.bench.worker SPOOL`` carries out cells until none is left."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import torch

from sfcore.bench.cell import carry_out
from sfcore.bench.spool import WORKERS, Errand, Spool
from sfcore.errors import InputError
from sfcore.runs.job import PATIENCE, node_name, tie
from sfcore.runs.patience import patiently

GLANCE = 0.2  # seconds between two looks for something to do
WATCH = 2.0  # seconds between two looks whether the driver lives


def main() -> None:
    """Carry out what waits, cell after cell, until the driver closes the spool or dies."""
    tie()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    spool, name = Spool(Path(sys.argv[1])), uuid.uuid4().hex[:8]
    threading.Thread(target=_end_with_driver, args=(spool,), daemon=True).start()
    with spool.hold(f"{WORKERS}/{name}", f"process {os.getpid()} on {node_name()}"):
        while spool.open:
            if found := patiently(lambda: spool.taken(name), PATIENCE):
                file, errand = found
                how = ended(errand)
                patiently(lambda file=file, how=how: spool.finish(file, how), PATIENCE)  # type: ignore[misc]
            else:
                time.sleep(GLANCE)


def ended(errand: Errand) -> dict[str, Any]:
    """How a cell ended: its status, or what went wrong."""
    try:
        return {"status": patiently(lambda: carry_out(*errand, patience=PATIENCE), PATIENCE)}
    except Exception as error:  # whatever a detector of the user's raises
        return {"error": str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"}


def _end_with_driver(spool: Spool) -> None:
    """A killed driver takes its workers along, or they would hold their runs when it is started again."""
    while True:
        time.sleep(WATCH)
        try:
            lives = spool.open
        except OSError:  # the storage is out of reach: nobody knows
            continue
        if not lives:
            os._exit(1)


if __name__ == "__main__":
    main()
