"""Decoding a batch of perturbed outputs against the published post-process, image by image, on the same outputs.

    python -m benchmarks.decode ganet-tiny --clone PATH
    python -m benchmarks.decode lstr-tiny --clone PATH --json out.json

PATH is a clone of the repository that the module of the detector's family here names; nothing of it is copied. Outputs
are those of rendered scenes with noise of one tenth of its RMS on every head. One thread for both.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.sensitivity.noise import root_mean_square

SCENES, LEVEL = 16, 0.1


@torch.no_grad()
def perturbed(detector: Detector, count: int, seed: int = 0) -> Outputs:
    """``count`` outputs: those of a few rendered scenes, each time under other noise."""
    clean = detector(detector.preprocess([render(800_000 + i).image for i in range(SCENES)]))
    index = torch.arange(count) % SCENES
    generator = torch.Generator().manual_seed(seed)

    def noisy(value: Tensor) -> Tensor:
        noise = torch.randn(count, *value.shape[1:], generator=generator)
        return value[index] + LEVEL * root_mean_square(value) * noise

    return {name: noisy(value) for name, value in clean.items()}


def seconds(function: Callable[[], object], repeats: int) -> float:
    """Shortest of several times, of the processor: others may be busy on it."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def measure(detector: Detector, decode_one: Callable[[Outputs, int], object], count: int, repeats: int) -> dict:
    """Milliseconds for one set of outputs in both ways, and their ratio."""
    outputs = perturbed(detector, count)
    detector.decode(outputs)  # the first call of either pays for what is loaded once
    decode_one(outputs, 0)
    ours = seconds(lambda: detector.decode(outputs), repeats)
    published = seconds(lambda: [decode_one(outputs, i) for i in range(count)], repeats)
    lanes = float(detector.decode(outputs).present.sum()) / count
    per_set = {"ours_ms": 1e3 * ours / count, "published_ms": 1e3 * published / count}
    return {"sets": count, "lanes_per_set": lanes, **per_set, "ratio": published / ours}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", help="with shipped weights, such as ganet-tiny")
    parser.add_argument("--clone", type=Path, required=True, help="the published repository")
    parser.add_argument("--sets", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    torch.set_num_threads(1)
    family = options.detector.rsplit("-", 1)[0]
    sys.path.insert(0, str(options.clone))
    try:
        detector = create(options.detector)
        published = importlib.import_module(f"benchmarks.decode.{family}").published
        figures = measure(detector, published(options.clone, detector), options.sets, options.repeats)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(options.detector, *(f"{name} {value:.4g}" for name, value in figures.items()), sep="  ")
    if options.json:
        options.json.write_text(json.dumps({"detector": options.detector, **figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
