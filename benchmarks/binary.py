"""What weights of one bit leave of lanes, by how they are tuned: ``python -m benchmarks.binary``.

For each seed and detector: calibrated only; tuned as DIR-Net does; the same with the straight-through estimator; and
plain, which is with that estimator and no features held near the full-precision ones. All see the same images in the
same order and take the same steps from the same calibrated signs and scales. The last state is judged, on
rendered scenes that nothing was calibrated or tuned on; not the best one, for where no lane is found there is little
distortion, and the best would be the calibrated one. Prints Markdown; ``--out`` keeps a line of JSON for each cell, and
what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.allocation import stacked
from benchmarks.rows import Row, Rows
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.devices import resolve_device
from sfcore.memory import keep_freed_memory
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods import methods
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.resources import sample_data

NAMES = ("scnn-tiny", "resa-tiny", "laneatt-tiny", "lstr-tiny", "bezierlanenet-tiny", "ganet-tiny", "condlanenet-tiny")
CALIBRATED = "calibrated"
# What is changed of the method dir-net.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"estimator": "straight-through", "features": 0.0},
    "straight-through": {"estimator": "straight-through"},
    "dir-net": {},
}
BATCH = 8  # frames that a calibration step sees at once


class Cells:
    """The cells of one detector and seed, from images that all of them share."""

    def __init__(self, name: str, seed: int, args: argparse.Namespace) -> None:
        self.args, self.name, self.seed = args, name, seed
        self.detector = create(name, device=resolve_device(args.device)).requires_grad_(False)
        samples = stacked(self.detector, [str(sample_data() / "scenes")], args.tuned_on, seed)
        scenes = stacked(self.detector, args.images, args.tuned_on, seed)
        self.frames = torch.cat([scenes, samples])
        self.judged = stacked(self.detector, args.test, args.judged, 0)
        self.reference = self.detector.decode(run(self.detector, self.judged))
        normalize, device = self.detector.preprocessing.normalize, self.detector.device
        batches = [normalize(part.to(device)) for part in self.frames[: args.calibrated].split(BATCH)]
        self.calibrated = quantize(self.detector, Scheme.parse(args.bits), batches)

    def row(self, by: str) -> Row:
        """What one kind of tuning leaves, or none."""
        model, begun = copy.deepcopy(self.calibrated), time.monotonic()
        if by != CALIBRATED:
            self._tune(model, by)
        took = time.monotonic() - begun
        found = self.detector.task.agreement(self.reference, self.detector.decode(run(model, self.judged)))
        row = {"detector": self.name, "seed": self.seed, "by": by, "steps": self.args.steps, "seconds": took}
        return row | {"f1": found.f1, "distortion": found.distortion}

    def _tune(self, model: Detector, by: str) -> None:
        steps, batch, rate = self.args.steps, self.args.batch, self.args.rates[by]
        changed = {"iterations": steps, "batch": batch, "learning_rate": rate, "check_every": steps + 1}
        recipe = methods()["dir-net"](**changed | KINDS[by])
        tuner = Tuner(self.detector, model, self.frames, self.judged[:1], recipe, seed=self.seed)
        while not tuner.done:
            tuner.step()


def cells(args: argparse.Namespace, done: list[Row]) -> Iterator[Row]:
    """The rows that are not done yet, all detectors of a seed before the next seed."""
    known = {(row["detector"], row["seed"], row["by"]) for row in done}
    for seed in args.seeds:
        for name in args.names:
            todo = [by for by in (CALIBRATED, *args.rates) if (name, seed, by) not in known]
            if todo:
                made = Cells(name, seed, args)
                yield from map(made.row, todo)


def table(rows: list[Row], names: list[str], kinds: list[str]) -> str:
    """Mean F1 over seeds ± deviation and, in brackets, the distortion; in bold what keeps most lanes."""
    lines = ["| detector | seeds | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 2) + "|"]
    for name in names:
        found = {by: [row for row in rows if row["detector"] == name and row["by"] == by] for by in kinds}
        if not all(found.values()):
            continue
        means = {by: statistics.fmean(row["f1"] for row in some) for by, some in found.items()}
        texts = []
        for by, some in found.items():
            spread = statistics.stdev(row["f1"] for row in some) if len(some) > 1 else 0.0
            text = f"{means[by]:.3f} ± {spread:.3f}"
            text = f"**{text}**" if means[by] == max(means.values()) else text
            texts.append(f"{text} ({statistics.fmean(row['distortion'] for row in some):.1f})")
        lines.append(f"| {name} | {min(map(len, found.values()))} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and print it."""
    usual = methods()["dir-net"]().learning_rate
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(NAMES))
    parser.add_argument("--bits", default="W1A8")
    parser.add_argument("--images", nargs="+", default=["scenes:600"], help="beside the sample scenes")
    parser.add_argument("--test", nargs="+", default=["scenes:100,seed=51000000"], help="that lanes are judged on")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--rate", nargs="+", default=[], metavar="KIND=RATE", help="other learning rates")
    parser.add_argument("--tuned-on", type=int, default=200, help="images of each source")
    parser.add_argument("--calibrated", type=int, default=32, help="of these, those that ranges are found on")
    parser.add_argument("--judged", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    args.rates = dict.fromkeys(args.kinds, usual) | {
        name: float(rate) for name, rate in (each.split("=") for each in args.rate)
    }
    keep_freed_memory()
    rows = Rows(args.out)
    for row in cells(args, rows):
        rows.add(row)
    print(table(rows, args.names, [CALIBRATED, *args.rates]))


if __name__ == "__main__":
    main()
