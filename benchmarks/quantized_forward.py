"""A quantized forward pass against a full-precision one of the same detector and images.

    python -m benchmarks.quantized_forward [DETECTOR ...] [--bits W4A4] [--batch 8] [--json]

Eight images are run, so many at a time. Both are timed in turns in one run, in seconds of the processor; the ratio of
the medians counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import torch

from sfcore.datasets.scenes import sample_scenes
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create, entries
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import channels_last, in_batches

ROUNDS, IMAGES = 25, 8


def seconds(detector: Detector, batches: Sequence[torch.Tensor]) -> float:
    start = time.process_time()
    in_batches(detector, batches)
    return time.process_time() - start


def ratio(name: str, bits: str, batch: int) -> float:
    """Median time of the quantized forward over that of the full-precision one."""
    detector = create(name).requires_grad_(False)
    images = detector.preprocess([scene.image for scene in sample_scenes()])[:IMAGES]
    images = images.contiguous(memory_format=torch.channels_last)
    pair = channels_last(detector), channels_last(quantize(detector, Scheme.parse(bits), [images]))
    batches = images.split(batch)
    times = [[seconds(model, batches) for model in pair] for _ in range(ROUNDS + 3)][3:]
    full, quantized = (statistics.median(column) for column in zip(*times, strict=True))
    return quantized / full


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = [one.name for one in entries() if one.weights and one.input.kind == "image"]
    parser.add_argument("detectors", nargs="*", default=shipped)
    parser.add_argument("--bits", default="W4A4")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {name: round(ratio(name, arguments.bits, arguments.batch), 2) for name in arguments.detectors}
    if arguments.json:
        print(json.dumps({"bits": arguments.bits, "batch": arguments.batch, "ratio": found}))
        return
    for name, value in found.items():
        print(f"{name:20} {value:.2f} × the full-precision forward")


if __name__ == "__main__":
    main()
