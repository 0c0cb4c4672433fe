"""What calibration without data costs: ``python -m benchmarks.distilled NAME...``.

Each detector is calibrated, not tuned, on as many images of each origin: real ones (rendered scenes of the kind that it
was trained on), those of DSG and of ZeroQ, and Gaussian noise; all are judged on other rendered scenes. Prints the
distortion by bits and origin, and how diverse the images are. ``--out`` keeps each figure as a line of JSON, and what
is there is not measured again; images are kept in the cache.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.rows import Rows
from sfcore.datasets.distilled import Distilled
from sfcore.datasets.images import find_images
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.distil.diversity import diversity
from sfcore.distil.images import distil, read
from sfcore.distil.statistics import Observed
from sfcore.distil.synthesis import gaussian, image_input
from sfcore.quant.inference import run
from sfcore.quant.pipeline import quantize
from sfcore.quant.scheme import Scheme

ORIGINS = ("real", "dsg", "zeroq", "noise")
REAL_SEED = 101  # of the scenes that are calibrated on; a seed of the benchmark is added


def stacked(detector: Detector, sources: list[str], count: int | None = None) -> Tensor:
    """(N, ...) frames of some sources."""
    spec = detector.preprocessing
    return torch.cat([spec.stack([spec.read(file)]) for file in find_images(sources, count)])


def images_of(detector: Detector, origin: str, seed: int, args: argparse.Namespace) -> tuple[Tensor, float]:
    """(N, ...) frames to calibrate on, and the seconds that making them took: 0 where they came from the cache."""
    if origin == "real":
        real = args.real or [f"scenes:{args.count},seed={REAL_SEED + seed}"]
        return stacked(detector, real, args.count), 0.0
    spec = image_input(detector)
    if origin == "noise":
        draw = torch.Generator().manual_seed(seed)
        return gaussian(spec, args.count, draw).round().byte(), 0.0
    what = Distilled(args.count, epsilon=args.epsilon, spread=args.spread, steps=args.steps, seed=seed)
    what = Distilled(args.count, zeroq=True, steps=args.steps, seed=seed) if origin == "zeroq" else what
    begun = time.monotonic()
    made = distil(detector, what)
    return read(made, spec), time.monotonic() - begun


def rows_of(name: str, seed: int, origin: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One detector, seed and origin: a row for each scheme."""
    detector = create(name, args.weights).requires_grad_(False)
    frames, seconds = images_of(detector, origin, seed, args)
    judged = stacked(detector, args.test)
    reference = detector.decode(run(detector, judged))
    batches = [detector.preprocessing.normalize(part) for part in frames.split(8)]
    about = {"detector": name, "seed": seed, "origin": origin, "images": len(frames), "seconds": seconds}
    about |= asdict(diversity(Observed(detector), frames))
    rows = []
    for bits in args.bits:
        model = quantize(detector, Scheme.parse(bits), batches, bias_correction=False)
        agreed = detector.task.agreement(reference, model.decode(run(model, judged)))
        rows.append({**about, "bits": bits, "f1": agreed.f1, "distortion": agreed.distortion})
    return rows


def distortions(rows: list[dict[str, Any]], names: list[str], bits: str) -> str:
    """Mean and deviation of the distortion over seeds, and whether the origins come in the order that is hoped for."""
    lines = [f"| {bits} | {' | '.join(ORIGINS)} | DSG ≤ 1.15 real | DSG < ZeroQ | ZeroQ < noise |", "|---" * 8 + "|"]
    for name in names:
        values = {
            origin: [
                row["distortion"]
                for row in rows
                if (row["detector"], row["origin"], row["bits"]) == (name, origin, bits)
            ]
            for origin in ORIGINS
        }
        if not all(values.values()):
            continue
        means = {origin: statistics.fmean(found) for origin, found in values.items()}
        cells = [f"{means[origin]:.2f} ± {_deviation(found):.2f}" for origin, found in values.items()]
        holds = (
            means["dsg"] <= 1.15 * means["real"], means["dsg"] < means["zeroq"], means["zeroq"] < means["noise"],
        )  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} | {' | '.join('yes' if each else 'no' for each in holds)} |")
    return "\n".join(lines)


def diversities(rows: list[dict[str, Any]], names: list[str]) -> str:
    """Spread and offset of the layer means, in the deviations of the norms, and the correlation of the images."""
    lines = [f"| spread · offset · correlation | {' | '.join(ORIGINS)} |", "|---" * (len(ORIGINS) + 1) + "|"]
    for name in names:
        cells = []
        for origin in ORIGINS:
            found = [row for row in rows if row["detector"] == name and row["origin"] == origin]
            parts = [[row[part] for row in found] for part in ("spread", "offset", "correlation")]
            cells.append(" · ".join(f"{statistics.fmean(part):.3f}" for part in parts) if found else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--weights", help="a checkpoint, of all that are named")
    parser.add_argument("--real", nargs="+", help="sources of real images (default: rendered scenes)")
    parser.add_argument("--test", nargs="+", default=["scenes:48,seed=51"], help="that all are judged on")
    parser.add_argument("--bits", nargs="+", default=["W4A4", "W8A8"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=24, help="images of each origin")
    usual = Distilled(1)
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--epsilon", type=float, default=usual.epsilon)
    parser.add_argument("--spread", type=float, default=usual.spread)
    parser.add_argument("--origins", nargs="+", default=ORIGINS, choices=ORIGINS)
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    rows = Rows(args.out)
    for seed in args.seeds:
        for name in args.names:
            for origin in args.origins:
                if any((row["detector"], row["seed"], row["origin"]) == (name, seed, origin) for row in rows):
                    continue
                for row in rows_of(name, seed, origin, args):
                    rows.add(row)
    for bits in args.bits:
        print(distortions(rows, args.names, bits), end="\n\n")
    print(diversities(rows, args.names))


if __name__ == "__main__":
    main()
