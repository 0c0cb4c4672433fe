"""Against workers: one evaluation and one measurement of curves, shared out among processes of this machine."""

from __future__ import annotations

import argparse
import shutil
from itertools import product
from pathlib import Path

from benchmarks.growth.base import Part
from benchmarks.growth.command import took
from benchmarks.growth.roads import roads
from benchmarks.rows import Row

EVALUATED, CURVES = 4000, 100  # images
DETECTORS = {"evaluate": "lstr-tiny", "curves": "ganet-tiny"}


def cells(args: argparse.Namespace) -> list[Row]:
    """Both commands with each number of workers."""
    return [{"part": "workers", "what": what, "workers": n} for what, n in product(DETECTORS, args.workers)]


def measure(cell: Row, folder: Path) -> Row:
    """What the command and its workers took."""
    out, name = folder / "shared", DETECTORS[cell["what"]]
    shutil.rmtree(out, ignore_errors=True)
    words: list[object] = ["evaluate", "detector", name, "--dataset", roads("culane", EVALUATED, folder)]
    if cell["what"] == "curves":
        words = ["curves", name, "--images", f"scenes:{CURVES}"]
    found, _ = took(*words, "--out", out, "--device", "cpu", "--workers", cell["workers"])
    return {"detector": name, "images": CURVES if cell["what"] == "curves" else EVALUATED, **found}


PART = Part(cells, measure)
