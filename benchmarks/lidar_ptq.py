"""LiDAR-PTQ on detectors of heat maps, part by part, in the order of its paper: ``python -m benchmarks.lidar_ptq``.

For each detector and seed: ranges by entropy with zeros counted, which the paper condemns, by max-min, by the grid
search around it; then tuned, with the same images, steps and rates: step sizes on the positives, rounding and step
sizes on the positives with the features, and, as a control, the latter with the objective "plain". With ``--others``
other methods follow, each with its own quick preset. The last state is judged, on rendered frames that nothing was
calibrated or tuned on; of boxes in point clouds also by the distance of the boxes. Prints Markdown; ``--out`` keeps
each figure as a line of JSON, and what is there is not measured again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from benchmarks.allocation import stacked
from benchmarks.rows import Row, Rows
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.methods import METHODS
from sfcore.quant.methods.effort import preset
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.sensitivity.curves import CurveSettings, noise_score_curves
from sfcore.tasks.box_distortion import BoxDistortion
from sfcore.tasks.boxes3d.types import Boxes3d

METHOD, EFFORT, BATCH = "lidar-ptq", "Quick look", 8
GRID, OMSE, AVERAGE = "maxmin-grid", "omse", "moving-average-omse"
CURVES = 8  # frames that noise–score curves are measured on, for methods that ask them
BANDS = (0.0, 15.0, 30.0, 1000.0)  # metres from the sensor
Part = tuple[str, str, str, dict[str, Any] | None]  # calibrators of weights and activations, method, its options
# What each row of the tables is; nothing is tuned where there are no options.
PARTS: dict[str, Part] = {
    "entropy, zeros counted": ("entropy-zeros", "entropy-zeros", METHOD, None),
    "max-min": ("minmax", "minmax", METHOD, None),
    "+ grid search": (GRID, GRID, METHOD, None),
    "+ positives": (GRID, GRID, METHOD, {"learn": ("steps",), "features": 0.0}),
    "+ rounding": (GRID, GRID, METHOD, {}),
    "plain, rounding": (GRID, GRID, METHOD, {"objective": "plain"}),
}


def parts(args: argparse.Namespace) -> dict[str, Part]:
    """The rows of the tables: those of the paper, then other methods after the calibration that is usual here."""
    others: dict[str, Part] = {"OMSE": (OMSE, AVERAGE, METHOD, None)} if args.others else {}
    others |= {method: (OMSE, AVERAGE, method, {}) for method in args.others}
    return {name: part for name, part in (PARTS | others).items() if not args.parts or name in args.parts}


def rows_of(name: str, seed: int, args: argparse.Namespace, known: set[str]) -> Iterator[Row]:
    """The parts of one detector and seed that are not known yet."""
    todo = {part: how for part, how in parts(args).items() if part not in known}
    if not todo:
        return
    detector = create(name, args.weights).requires_grad_(False)
    rendered = detector.preprocessing.rendered
    frames = stacked(detector, args.images or [f"{rendered}:600"], args.tuned_on, seed)
    judged = stacked(detector, args.test or [f"{rendered}:{args.judged},seed=51"], args.judged, 0)
    reference = detector.decode(run(detector, judged))
    batches = [detector.preprocessing.normalize(part) for part in frames[: args.calibrated].split(BATCH)]
    for part, (weights, activations, method, options) in todo.items():
        begun, scheme = time.monotonic(), Scheme.parse(args.bits)
        model = quantize(detector, scheme, batches, weights, activations, bias_correction=False)
        if options is not None:
            tune(detector, model, frames, method, options, seed, args)
        took, found = time.monotonic() - begun, detector.decode(run(model, judged))
        agreed = detector.task.agreement(reference, found)
        row = {"detector": name, "seed": seed, "part": part, "f1": agreed.f1, "distortion": agreed.distortion}
        yield row | {"seconds": took} | by_distance(detector, reference, found)


def tune(
    detector: Detector, model: Detector, frames: torch.Tensor, name: str, options: dict[str, Any], seed: int,
    args: argparse.Namespace,
) -> None:  # fmt: skip
    """Tune a calibrated model by a method, with few steps."""
    method = METHODS[name]
    few: dict[str, Any] = {"check_every": 10**6, "rendered": 0}
    few |= {"iterations": args.steps} if method().granularity == "net" else {"iterations": args.block_steps}
    recipe = method(**(preset(method, EFFORT) | few | options))
    some = run(detector, frames[:CURVES]) if recipe.needs_curves else None
    curves = noise_score_curves(detector, some, CurveSettings(reruns=3)) if some else None
    tuner = Tuner(detector, model, frames, frames[:1], recipe, curves, seed=seed)
    while not tuner.done:
        tuner.step()


def by_distance(detector: Detector, reference: Any, found: Any) -> dict[str, Any]:
    """Of boxes in point clouds, the distortion of each band of distance by the boxes that lie in it, in dm a box."""
    if not isinstance(reference, Boxes3d):
        return {}
    moved = detector.task.distortion(reference, found)
    assert isinstance(moved, BoxDistortion)  # it is of boxes
    own, extra = moved.shift + moved.stretch + moved.misalignment, moved.extra
    far, others = (each.box[..., :2].norm(dim=-1) for each in (reference, found))
    bands = {}
    for low, high in pairwise(BANDS):
        here, there = (far >= low) & (far < high), (others >= low) & (others < high)
        bands[f"{low:g} m"] = float((own[here].sum() + extra[there].sum()) / max(int(here.sum()), 1))
    return {"bands": bands}


def table(rows: list[Row], names: list[str]) -> str:
    """Mean distortion over seeds ± deviation and, in brackets, F1."""
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for part in dict.fromkeys(row["part"] for row in rows):
        cells = []
        for name in names:
            found = [row for row in rows if (row["detector"], row["part"]) == (name, part)]
            values = [row["distortion"] for row in found]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            f1 = statistics.fmean(row["f1"] for row in found) if found else 0.0
            cells.append(f"{statistics.fmean(values):.2f} ± {spread:.2f} ({f1:.3f})" if found else "–")
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bands(rows: list[Row], name: str) -> str:
    """Of one detector the mean over seeds in each band of distance, or nothing."""
    rows = [row for row in rows if row["detector"] == name and "bands" in row]
    if not rows:
        return ""
    titles = list(rows[0]["bands"])
    lines = [f"| {name}, dm a box, from | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for part in dict.fromkeys(row["part"] for row in rows):
        means = [statistics.fmean(row["bands"][title] for row in rows if row["part"] == part) for title in titles]
        lines.append(f"| {part} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=["ganet-tiny", "condlanenet-tiny"])
    parser.add_argument("--weights", help="a checkpoint, of all that are named")
    parser.add_argument("--bits", default="W4A4")
    parser.add_argument("--images", nargs="+", help="to calibrate and tune on (default: rendered frames)")
    parser.add_argument("--test", nargs="+", help="that all are judged on (default: other rendered frames)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150, help="of methods that tune the whole network at once")
    parser.add_argument("--block-steps", type=int, default=20, help="of the others, for each layer or block")
    parser.add_argument("--tuned-on", type=int, default=128)
    parser.add_argument("--calibrated", type=int, default=32, help="of these, those that ranges are found on")
    parser.add_argument("--judged", type=int, default=48)
    parser.add_argument("--parts", nargs="+", help="only these rows")
    parser.add_argument("--others", nargs="+", default=[], metavar="METHOD", help="that are compared with it")
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    rows = Rows(args.out)
    for seed in args.seeds:
        for name in args.names:
            known = {row["part"] for row in rows if (row["detector"], row["seed"]) == (name, seed)}
            for row in rows_of(name, seed, args, known):
                rows.add(row)
    print("\n\n".join(filter(None, [table(rows, args.names), *(bands(rows, name) for name in args.names)])))


if __name__ == "__main__":
    main()
