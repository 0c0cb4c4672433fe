"""Noise-score curves against a plain loop that decodes and scores one lane set at a time.

    python benchmarks/curves.py --detector ganet-tiny
    python benchmarks/curves.py --detector lstr-r18s --weights LSTR_500000.pkl --images FRAMES --json out.json

Both use the same head outputs, the same noise, the same ``decode`` and the same score; the loop gives them batches
of one. The loop runs on the first few images only, at all levels and reruns, and its time per lane set is
multiplied by the number of sets; the table says how many were measured. Its mean scores must equal the curves'.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfcore.datasets.images import find_images, read_images
from sfcore.datasets.scenes import render
from sfcore.detectors.base import Detector, Image, Outputs
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import unit_noise
from sfcore.tasks.lanes import distortion

FORWARD_BATCH = 8


def load_images(source: Path | None, count: int) -> list[Image]:
    """Real frames of a folder, or rendered scenes when there is none."""
    if source is None:
        return [render(seed).image for seed in range(count)]
    return read_images(find_images([source], count))


@torch.no_grad()
def head_outputs(detector: Detector, images: list[Image]) -> Outputs:
    """What is cached before curves are measured."""
    groups = [images[i : i + FORWARD_BATCH] for i in range(0, len(images), FORWARD_BATCH)]
    parts = [detector(detector.preprocess(group)) for group in groups]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@torch.no_grad()
def plain_loop(detector: Detector, outputs: Outputs, curves: Curves, settings: CurveSettings, images: int) -> float:
    """Largest deviation of the loop's mean scores from the curves', over heads, levels and the first ``images``."""
    worst = 0.0
    for head, curve in curves.curves.items():
        generator = torch.Generator().manual_seed(settings.seed)
        for i, chosen in enumerate(curves.meta["images"][:images]):
            one = {name: value[chosen : chosen + 1] for name, value in outputs.items()}
            reference = detector.decode(one)
            unit = unit_noise(settings.kind, settings.reruns, one[head].shape[1:], generator)
            for n, level in enumerate(settings.noise * curves.meta["rms"][head]):
                scores = [
                    float(distortion(reference, detector.decode({**one, head: one[head] + float(level) * draw})).score)
                    for draw in unit
                ]
                worst = max(worst, abs(float(np.mean(scores) - curve.images[n, i])))
    return worst


def best_time(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Shortest of several times in seconds, of the processor, as others may be busy on it; and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def measure(detector: Detector, outputs: Outputs, settings: CurveSettings, loop_images: int, repeats: int) -> dict:
    """Times of both ways in seconds, and their ratio."""
    seconds, curves = best_time(lambda: noise_score_curves(detector, outputs, settings), repeats)
    images = len(curves.meta["images"])
    loop_images = min(loop_images, images)
    loop, deviation = best_time(lambda: plain_loop(detector, outputs, curves, settings, loop_images), repeats)
    per_image = settings.levels * settings.reruns * len(curves.curves)
    return {
        "heads": len(curves.curves),
        "sets": per_image * images,
        "curves_s": seconds,
        "curves_us_per_set": 1e6 * seconds / (per_image * images),
        "loop_sets_measured": per_image * loop_images,
        "loop_measured_s": loop,
        "loop_us_per_set": 1e6 * loop / (per_image * loop_images),
        "loop_extrapolated_s": loop * images / loop_images,
        "ratio": loop * images / loop_images / seconds,
        "largest_deviation": deviation,
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="ganet-tiny")
    parser.add_argument("--weights", type=Path, help="checkpoint; the shipped weights when not given")
    parser.add_argument("--images", type=Path, help="folder of frames; rendered scenes when not given")
    for name, value in (("limit", 100), ("levels", 8), ("reruns", 20), ("loop-images", 3), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    try:
        detector = create(options.detector, options.weights)
        outputs = head_outputs(detector, load_images(options.images, options.limit))
        settings = CurveSettings(images=options.limit, levels=options.levels, reruns=options.reruns)
        figures = measure(detector, outputs, settings, options.loop_images, options.repeats)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.detector}, {options.threads} threads, torch {torch.__version__}")
    for name, value in figures.items():
        print(f"  {name:<22}{value:>12,.3f}" if isinstance(value, float) else f"  {name:<22}{value:>12,}")
    if options.json:
        machine = {"threads": options.threads, "torch": torch.__version__, "machine": platform.processor()}
        content = {"detector": options.detector, "settings": asdict(settings), **machine, **figures}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
