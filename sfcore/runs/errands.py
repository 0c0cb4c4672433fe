"""A worker: ``python -m MODULE SPOOL``, where the module calls :func:`serve`, does errands until none is left."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sfcore.errors import InputError
from sfcore.runs.job import PATIENCE, node_name, tie
from sfcore.runs.patience import patiently
from sfcore.runs.spool import WORKERS, Errand, Spool

GLANCE = 0.2  # seconds between two looks for something to do
WATCH = 2.0  # seconds between two looks whether the driver lives

CarryOut = Callable[[Errand], Any]


def serve(carry_out: CarryOut) -> None:
    """Do what waits, errand after errand, until the driver closes the spool or dies.

    Args:
        carry_out: one errand; what it returns goes to the driver as JSON.
    """
    tie()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    spool, name = Spool(Path(sys.argv[1])), uuid.uuid4().hex[:8]
    threading.Thread(target=_end_with_driver, args=(spool,), daemon=True).start()
    with spool.hold(f"{WORKERS}/{name}", f"process {os.getpid()} on {node_name()}"):
        while patiently(lambda: spool.open, PATIENCE):
            if found := patiently(lambda: spool.taken(name), PATIENCE):
                file, errand = found
                how = ended(carry_out, errand)
                patiently(lambda file=file, how=how: spool.finish(file, how), PATIENCE)  # type: ignore[misc]
            else:
                time.sleep(GLANCE)


def ended(carry_out: CarryOut, errand: Errand) -> dict[str, Any]:
    """How an errand ended: what came of it, or what went wrong."""
    try:
        return {"done": patiently(lambda: carry_out(errand), PATIENCE)}
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
