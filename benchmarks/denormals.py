"""A forward pass with weights that decayed to denormal numbers, flushed to zero as everywhere here, and not.

    python -m benchmarks.denormals [DETECTOR] [--share 0.5] [--json]

All are timed in turns in one run on one thread; the ratios of the medians to the sound weights count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from copy import deepcopy

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create

ROUNDS = 9
DECAYED = 1e-39


def decayed(detector: Detector, share: float) -> Detector:
    """A copy, so large a share of whose filters is denormal."""
    copy = deepcopy(detector)
    torch.set_flush_denormal(False)  # or there would be none
    for module in copy.modules():
        if isinstance(module, nn.Conv2d):
            few = round(share * len(module.weight))
            module.weight[:few] = module.weight[:few].sign() * DECAYED
    return copy


@torch.inference_mode()
def seconds(detector: Detector, images: Tensor, flush: bool) -> float:
    """Of the forward alone: a detector that is called flushes by itself."""
    torch.set_flush_denormal(flush)
    start = time.perf_counter()
    detector.forward(images)
    return time.perf_counter() - start


def ratios(name: str, share: float) -> dict[str, float]:
    """Times of the decayed detector over that of the sound one."""
    detector = create(name).requires_grad_(False)
    images = torch.rand(1, 3, *detector.preprocessing.size)
    small = decayed(detector, share)
    cases = [(detector, True), (small, True), (small, False)]
    times = [[seconds(model, images, flush) for model, flush in cases] for _ in range(ROUNDS + 1)][1:]
    sound, flushed, plain = (statistics.median(column) for column in zip(*times, strict=True))
    return {"flushed": flushed / sound, "not flushed": plain / sound}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", nargs="?", default="scnn-tiny")
    parser.add_argument("--share", type=float, default=0.5, help="of the filters that decayed (default: 0.5)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a second thread's setting is that of its start
    found = {case: round(ratio, 2) for case, ratio in ratios(arguments.detector, arguments.share).items()}
    if arguments.json:
        print(json.dumps({"detector": arguments.detector, "share": arguments.share, "ratio": found}))
        return
    for case, value in found.items():
        print(f"{case:12} {value:.2f} × the forward of sound weights")


if __name__ == "__main__":
    main()
