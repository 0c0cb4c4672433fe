"""What allocated bits leave of the prediction, by what they are chosen: ``python -m benchmarks.allocation NAME...``.

For each detector and seed of the calibration images: uniform bits and, within one budget, bits chosen by the distortion
of the decoded prediction, by mean squared error, by cosine and by curvature; all calibrated, not tuned, and judged on
images that nothing was chosen on. With ``--front`` a whole front and its time. Prints Markdown; ``--out`` keeps the
rows as JSON, and what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfcore.datasets.images import find_images
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.quant.allocation import Allocator, Constraints
from sfcore.quant.budget import parse_budgets
from sfcore.quant.criteria import CRITERIA
from sfcore.quant.front import front
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import Scheme
from sfcore.quant.sensitivities import by_criteria

UNIFORM = "uniform"


def stacked(detector: Detector, sources: list[str], count: int, seed: int) -> Tensor:
    """(N, ...) frames: so many of the sources' images, drawn by a seed."""
    spec = detector.preprocessing
    files = find_images(sources, formats=spec.formats)
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    return torch.cat([spec.stack([spec.read(files[place])]) for place in order.tolist()])


def rows_of(name: str, seed: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One detector and seed: a row for each criterion, and for uniform bits."""
    detector = create(name, args.weights).requires_grad_(False)
    frames = stacked(detector, args.images, args.calibrated, seed)
    judged = stacked(detector, args.test, args.judged, 0)
    batches = [detector.preprocessing.normalize(part) for part in frames.split(8)]
    ranges, constraints = Ranges.of(detector, Scheme(8, 8), batches), Constraints(tuple(args.candidates))
    begun = time.monotonic()
    found = by_criteria(ranges, frames[: args.alone], constraints.candidates, args.criteria)
    took, budgets, rows = time.monotonic() - begun, parse_budgets(args.budget), []
    schemes = {UNIFORM: Scheme.parse(args.uniform)}
    for criterion in args.criteria:
        allocator = Allocator(ranges, found[criterion], frames, constraints)
        schemes[criterion] = allocator.allocate(budgets, rounds=args.rounds, seed=seed).scheme
    for criterion, scheme in schemes.items():
        agreed, cost = allocator.measure(scheme, judged), ranges.profile.cost(scheme)
        rows.append(
            {"detector": name, "seed": seed, "by": criterion, "scheme": str(scheme), "seconds": took}
            | {"weight_bits": cost.average_weight_bits, "activation_bits": cost.average_activation_bits}
            | {"bops": cost.bops, "f1": agreed.f1, "distortion": agreed.distortion}
        )
    return rows


def front_seconds(name: str, args: argparse.Namespace) -> tuple[float, list[dict[str, Any]]]:
    """What a whole front takes from nothing, and its points."""
    detector = create(name, args.weights).requires_grad_(False)
    frames, judged = stacked(detector, args.images, 8, 0), stacked(detector, args.test, args.judged, 0)
    begun = time.monotonic()
    batches = [detector.preprocessing.normalize(part) for part in frames.split(8)]
    ranges, constraints = Ranges.of(detector, Scheme(8, 8), batches), Constraints(tuple(args.candidates))
    found = by_criteria(ranges, frames, constraints.candidates, ["distortion"], keep=False)["distortion"]
    points = front(Allocator(ranges, found, frames, constraints), judged)
    return time.monotonic() - begun, [point.row() for point in points]


def table(rows: list[dict[str, Any]], names: list[str], criteria: list[str]) -> str:
    """Mean and deviation of the distortion over seeds; in bold what is least, and F1 in brackets."""
    lines = ["| detector | " + " | ".join(criteria) + " |", "|---" * (len(criteria) + 1) + "|"]
    for name in names:
        values = {by: [row for row in rows if row["detector"] == name and row["by"] == by] for by in criteria}
        means = {by: statistics.fmean(row["distortion"] for row in found) for by, found in values.items() if found}
        cells = []
        for by, found in values.items():
            spread = statistics.stdev(row["distortion"] for row in found) if len(found) > 1 else 0.0
            text = f"{means[by]:.1f} ± {spread:.1f}"
            text = f"**{text}**" if by != UNIFORM and means[by] == min(means.values()) else text
            cells.append(f"{text} ({statistics.fmean(row['f1'] for row in found):.2f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--weights", help="a checkpoint, of all that are named")
    parser.add_argument("--images", nargs="+", default=["scenes:600"], help="that bits are chosen on")
    parser.add_argument("--test", nargs="+", default=["scenes:100,seed=51000000"], help="that they are judged on")
    parser.add_argument("--budget", nargs="+", default=["4.3bit"])
    parser.add_argument("--uniform", default="W4A4")
    parser.add_argument("--candidates", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--criteria", nargs="+", default=["distortion", "mse", "cosine", "hessian"], choices=CRITERIA)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--calibrated", type=int, default=32, help="frames that ranges and allocations are measured on")
    parser.add_argument("--alone", type=int, default=16, help="of these, those that layers are measured alone on")
    parser.add_argument("--judged", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--front", action="store_true", help="measure a front and its time instead")
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    if args.front:
        for name in args.names:
            took, points = front_seconds(name, args)
            print(f"{name}: a front of {len(points)} points in {took:.1f} s", flush=True)
            for point in points:
                print({key: value for key, value in point.items() if key != "scheme"})
        return
    rows = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    for name in args.names:
        for seed in args.seeds:
            if not any(row["detector"] == name and row["seed"] == seed for row in rows):
                rows += rows_of(name, seed, args)
                print(f"{name}, seed {seed}: {rows[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
                if args.out:
                    args.out.write_text(json.dumps(rows, indent=1))
    print(table(rows, args.names, [UNIFORM, *args.criteria]))


if __name__ == "__main__":
    main()
