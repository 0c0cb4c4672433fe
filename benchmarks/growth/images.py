"""Against images: evaluation of a detector, of what it has filed, and of files alone."""

from __future__ import annotations

import argparse
import json
import shutil
from itertools import product
from pathlib import Path

from benchmarks.growth.base import Part
from benchmarks.growth.command import took
from benchmarks.growth.roads import LANE, SIZE, roads
from benchmarks.rows import Row

DETECT, FILES = "evaluate detector", "evaluate files"


def cells(args: argparse.Namespace) -> list[Row]:
    """All layouts in all sizes: files alone, and each detector."""
    sizes = [{"part": "images", "layout": layout, "images": n} for layout, n in product(args.layouts, args.images)]
    files = [{**size, "what": FILES} for size in sizes]
    return files + [{**size, "what": DETECT, "detector": name} for name, size in product(args.detectors, sizes)]


def measure(cell: Row, folder: Path) -> Row:
    """Time and memory; of a detector also those of the same command again, which finds all predictions filed."""
    dataset = roads(cell["layout"], cell["images"], folder)
    if cell["what"] == FILES:
        return took("evaluate", cell["layout"], *_files(cell["layout"], dataset))[0]
    out = folder / f"{dataset.name}-{cell['detector']}"
    words = ["evaluate", "detector", cell["detector"], "--dataset", dataset, "--out", out, "--device", "cpu", "--json"]
    first, printed = took(*words)
    again, _ = took(*words)
    shutil.rmtree(out)
    return {**first, "again": again, "found": json.loads(printed)["models"]["full"]["total"]}


def _files(layout: str, dataset: Path) -> list[object]:
    """Options that score labels as if they had been predicted."""
    if layout == "tusimple":
        return ["--predictions", dataset / "predictions.jsonl", "--labels", dataset / "test_label.json"]
    shape = ["--size", SIZE, "--width", LANE]
    return ["--predictions", dataset, "--annotations", dataset, "--list", dataset / "list/test.txt", *shape]


PART = Part(cells, measure)
