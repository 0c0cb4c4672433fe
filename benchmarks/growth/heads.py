"""Against heads and detectors: noise–score curves, a process for each detector.

``python -m benchmarks.growth.heads NAME IMAGES`` is that process; it prints what each head took as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path

import torch

from benchmarks.growth.base import Part
from benchmarks.growth.command import took
from benchmarks.rows import Row
from sfcore.datasets.images import find_images
from sfcore.detectors.registry import create
from sfcore.evaluation.inference import head_outputs
from sfcore.sensitivity.curves import CurveSettings, head_scores, strengths

DETECTORS = (
    "bezierlanenet-tiny", "condlanenet-tiny", "ganet-tiny", "laneatt-tiny", "lstr-tiny", "resa-tiny", "scnn-tiny",
)  # fmt: skip
SETTINGS = CurveSettings()


def cells(args: argparse.Namespace) -> list[Row]:
    """All detectors, with each number of images."""
    return [{"part": "heads", "detector": name, "images": n} for n, name in product(args.curve_images, DETECTORS)]


def measure(cell: Row, folder: Path) -> Row:
    """Processor seconds of each head, and what the process took."""
    taken, printed = took(cell["detector"], cell["images"], module=__name__)
    return {**taken, "heads": json.loads(printed)}


def timed(name: str, count: int) -> Row:
    """For each head its elements, and the processor seconds of its curve."""
    torch.set_num_threads(1)
    detector = create(name)
    full = head_outputs(detector, find_images([f"scenes:{count}"]))
    rms, found = strengths(detector, full), Row()
    for head in rms:
        begun = time.process_time()
        head_scores(detector, full, {head: rms[head]}, SETTINGS, slice(0, count))
        seconds = round(time.process_time() - begun, 3)
        found[head] = {"elements": full[head][0].numel(), "processor": seconds}
    return found


PART = Part(cells, measure)

if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1], int(sys.argv[2]))))
