"""What transforms against outliers leave of the prediction: ``python -m benchmarks.transforms NAME...``.

For each detector, scheme and seed of the calibration images: no transform and each choice of them, ranges of
activations from end to end (min-max) as published, biases not corrected; calibrated, not tuned, judged on images that
nothing was chosen on. With ``--planted`` two channels of a transformer's last layer norm are 32 times as large, and the
columns that read them 32 times as small, which changes nothing in full precision. Prints Markdown; ``--out`` keeps the
rows as JSON, and what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.allocation import stacked
from benchmarks.rows import Row, Rows
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.quant import quantize
from sfcore.quant.convert import convert, example
from sfcore.quant.inference import in_batches
from sfcore.quant.norm_readers import norm_readers
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import with_usual

CHOICES = (
    (), ("gamma-migration",), ("shift-scale",), ("token-clip",), ("gamma-migration", "token-clip"),
    ("shift-scale", "token-clip"), ("gamma-migration", "shift-scale"),
)  # fmt: skip
NORM, CHANNELS, FACTOR = "transformer.decoder.norm", (3, 17), 32.0  # what is planted
BATCH = 8


@torch.no_grad()
def plant(detector: Detector) -> Detector:
    """Make two channels of LSTR's last layer norm outliers, in place; its output stays the same to the bit, for powers
    of two only change exponents."""
    norm = detector.get_submodule(NORM)
    readings = norm_readers(convert(detector, Scheme(8, 8)), example(detector))
    assert isinstance(norm, nn.LayerNorm)
    for parameter in norm.parameters():
        parameter[list(CHANNELS)] *= FACTOR
    for reading in readings:
        if reading.norm == NORM:
            weight = detector.get_submodule(reading.layer).weight
            assert isinstance(weight, Tensor)
            weight[:, list(CHANNELS)] /= FACTOR
    return detector


def rows_of(name: str, seed: int, args: argparse.Namespace, known: Sequence[Row]) -> Iterator[Row]:
    """One detector and seed: a row for each scheme and choice of transforms that is not known."""
    detector = create(name, args.weights).requires_grad_(False)
    detector = plant(detector) if args.planted else detector
    normalize = detector.preprocessing.normalize
    batches = [normalize(part) for part in stacked(detector, args.images, args.calibrated, seed).split(BATCH)]
    judged = [normalize(part) for part in stacked(detector, args.test, args.judged, 0).split(BATCH)]
    reference = detector.decode(in_batches(detector, judged))
    for scheme, transforms in product(args.bits, CHOICES):
        about = {"detector": name, "planted": args.planted, "seed": seed, "bits": scheme}
        about |= {"transforms": list(transforms)}
        if any(about == {key: row[key] for key in about} for row in known):
            continue
        begun = time.monotonic()
        model = quantize(
            detector, Scheme.parse(scheme), batches, "omse", "minmax", bias_correction=False,
            transforms=with_usual(transforms),
        )  # fmt: skip
        took = time.monotonic() - begun
        agreed = detector.task.agreement(reference, model.decode(in_batches(model, judged)))
        yield about | {"distortion": agreed.distortion, "f1": agreed.f1, "seconds": took}


def table(rows: Sequence[Row], schemes: Sequence[str]) -> str:
    """Mean distortion over seeds, and F1 in brackets: a line a choice of transforms, a column a scheme."""
    lines = ["| transforms | " + " | ".join(schemes) + " |", "|---" * (len(schemes) + 1) + "|"]
    for transforms in CHOICES:
        cells = []
        for scheme in schemes:
            found = [row for row in rows if row["bits"] == scheme and row["transforms"] == list(transforms)]
            values = [row["distortion"] for row in found]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(
                f"{statistics.fmean(values):.1f}{spread} ({statistics.fmean(row['f1'] for row in found):.2f})"
                if values
                else ""
            )
        lines.append(f"| {' + '.join(transforms) or 'none'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--weights", help="a checkpoint, of all that are named")
    parser.add_argument("--planted", action="store_true", help=f"make outliers in {NORM}")
    parser.add_argument("--images", nargs="+", default=["scenes:600"], help="that ranges are found on")
    parser.add_argument("--test", nargs="+", default=["scenes:100,seed=51000000"], help="that they are judged on")
    parser.add_argument("--bits", nargs="+", default=["W8A8", "W6A6", "W4A4"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--calibrated", type=int, default=24)
    parser.add_argument("--judged", type=int, default=24)
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    args = parser.parse_args()
    rows = Rows(args.out)
    for seed, name in product(args.seeds, args.names):
        for row in rows_of(name, seed, args, tuple(rows)):
            rows.add(row)
    for name in args.names:
        print(f"\n{name}{', planted' if args.planted else ''}\n")
        own = [row for row in rows if row["detector"] == name and row["planted"] == args.planted]
        print(table(own, args.bits), flush=True)


if __name__ == "__main__":
    main()
