"""LiDAR-PTQ on detectors of heat maps, part by part, in the order of its paper: ``python -m benchmarks.lidar_ptq``.

For each detector and seed: ranges by entropy with zeros counted, which the paper condemns, by max-min, by the grid
search around it; then tuned, with the same images, steps and rates: step sizes on the positives, rounding and step
sizes on the positives with the features, and, as a control, the latter with the objective "plain". The last state is
judged, on rendered scenes that nothing was calibrated or tuned on. Prints Markdown; ``--out`` keeps each figure as a
line of JSON, and what is there is not measured again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.allocation import stacked
from benchmarks.rows import Row, Rows
from sfcore.detectors.registry import create
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods import METHODS
from sfcore.quant.methods.effort import preset
from sfcore.quant.reconstruct.engine import Tuner

METHOD, EFFORT, BATCH = "lidar-ptq", "Quick look", 8
GRID = "maxmin-grid"
# What each row of the tables is: its calibrator, and the options that it is tuned with, if it is.
PARTS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "entropy, zeros counted": ("entropy-zeros", None),
    "max-min": ("minmax", None),
    "+ grid search": (GRID, None),
    "+ positives": (GRID, {"learn": ("steps",), "features": 0.0}),
    "+ rounding": (GRID, {}),
    "plain, rounding": (GRID, {"objective": "plain"}),
}


def rows_of(name: str, seed: int, args: argparse.Namespace, known: set[str]) -> Iterator[Row]:
    """The parts of one detector and seed that are not known yet."""
    detector = create(name).requires_grad_(False)
    frames = stacked(detector, args.images, args.tuned_on, seed)
    judged = stacked(detector, args.test, args.judged, 0)
    reference = detector.decode(run(detector, judged))
    batches = [detector.preprocessing.normalize(part) for part in frames[: args.calibrated].split(BATCH)]
    method = METHODS[METHOD]
    for part, (calibrator, options) in PARTS.items():
        if part in known:
            continue
        scheme = Scheme.parse(args.bits)
        model = quantize(detector, scheme, batches, calibrator, calibrator, bias_correction=False)
        if options is not None:
            few = {"iterations": args.steps, "check_every": args.steps + 1}
            recipe = method(**(preset(method, EFFORT) | few | options))  # rates that go with few steps
            tuner = Tuner(detector, model, frames, judged[:1], recipe, seed=seed)
            while not tuner.done:
                tuner.step()
        found = detector.task.agreement(reference, detector.decode(run(model, judged)))
        yield {"detector": name, "seed": seed, "part": part, "f1": found.f1, "distortion": found.distortion}


def table(rows: list[Row], names: list[str]) -> str:
    """Mean distortion over seeds ± deviation and, in brackets, F1."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for part in PARTS:
        cells = []
        for name in names:
            found = [row for row in rows if (row["detector"], row["part"]) == (name, part)]
            values = [row["distortion"] for row in found]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            f1 = statistics.fmean(row["f1"] for row in found) if found else 0.0
            cells.append(f"{statistics.fmean(values):.2f} ± {spread:.2f} ({f1:.3f})" if found else "–")
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=["ganet-tiny", "condlanenet-tiny"])
    parser.add_argument("--bits", default="W4A4")
    parser.add_argument("--images", nargs="+", default=["scenes:600"])
    parser.add_argument("--test", nargs="+", default=["scenes:48,seed=51"], help="that all are judged on")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--tuned-on", type=int, default=128)
    parser.add_argument("--calibrated", type=int, default=32, help="of these, those that ranges are found on")
    parser.add_argument("--judged", type=int, default=48)
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    rows = Rows(args.out)
    for seed in args.seeds:
        for name in args.names:
            known = {row["part"] for row in rows if (row["detector"], row["seed"]) == (name, seed)}
            for row in rows_of(name, seed, args, known):
                rows.add(row)
    print(table(rows, args.names))


if __name__ == "__main__":
    main()
