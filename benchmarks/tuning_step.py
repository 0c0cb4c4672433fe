"""A tuning step against a full-precision training step of the same network and batch.

    python -m benchmarks.tuning_step [--detector ganet-tiny] [--weights FILE] [--batch 8] [--json]

All are timed in turns in one run, so that a busy machine slows all; the ratio of the medians counts. Of a method
that goes layer by layer or block by block it is the mean over its units.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from sfcore.datasets.scenes import sample_scenes
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.memory import keep_freed_memory
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import channels_last, run
from sfcore.quant.methods import methods
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves

ROUNDS = 9


def training_step(detector: Detector, pixels: torch.Tensor, batch: int) -> Callable[[], object]:
    """Forward, plain loss on all heads, backward and Adam of the network at full precision."""
    model = channels_last(copy.deepcopy(detector)).requires_grad_(True)
    optimizer = torch.optim.Adam(model.parameters(), 1e-6)
    targets = run(detector, pixels[:batch])

    def step() -> None:
        images = model.preprocessing.normalize(pixels[:batch]).contiguous(memory_format=torch.channels_last)
        outputs = model(images)
        loss = sum((outputs[name] - targets[name]).square().sum() for name in targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def tuning_step(tuner: Tuner) -> float:
    """Seconds of a step, without the recording of activations before it."""
    while True:
        start = time.perf_counter()
        event = tuner.step()
        if "loss" in event:
            return time.perf_counter() - start


def seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def unit_step(tuner: Tuner, train: Callable[[], float], training: list[float]) -> float:
    """Mean seconds of a step over all units, of three steps each; a training step is timed after every unit."""
    times = []
    while not tuner.done:
        steps = [tuning_step(tuner) for _ in range(tuner.recipe.iterations)]
        times.append(steps[1])  # the first makes Adam's moments, the last ends with a check
        training.append(train())
    return statistics.mean(times)


def _tuner(detector: Detector, calibrated: Detector, pixels: torch.Tensor, recipe: Recipe, curves: Curves) -> Tuner:
    return Tuner(detector, copy.deepcopy(calibrated), pixels[:8], pixels[16:], recipe, curves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="ganet-tiny")
    parser.add_argument("--weights")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()
    detector = create(arguments.detector, arguments.weights).requires_grad_(False)
    pixels = detector.preprocessing.stack([scene.image for scene in sample_scenes()])
    calibrated = quantize(detector, Scheme.parse("W4A4"), [detector.preprocessing.normalize(pixels)])
    curves = noise_score_curves(detector, run(detector, pixels), CurveSettings(images=4, levels=3, reruns=2))
    train = training_step(detector, pixels, arguments.batch)
    steps: dict[str, Callable[[], float]] = {"training": lambda: seconds(train)}
    unitwise: dict[str, Tuner] = {}
    for name, config in methods().items():
        if not config().iterations:
            continue
        recipe = replace(config(), batch=arguments.batch, check_every=10**6, rendered=0)
        if recipe.granularity == "net":
            steps[name] = partial(tuning_step, _tuner(detector, calibrated, pixels, recipe, curves))
        else:
            unitwise[name] = _tuner(detector, calibrated, pixels, replace(recipe, iterations=3), curves)
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            times[name].append(step())
    times |= {name: [unit_step(tuner, steps["training"], times["training"])] for name, tuner in unitwise.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = {name: round(value / medians["training"], 2) for name, value in medians.items()}
    if arguments.json:
        print(json.dumps({"detector": arguments.detector, "seconds": medians, "ratio": ratios}))
        return
    for name, ratio in ratios.items():
        print(f"{name:16} {medians[name] * 1000:7.1f} ms  {ratio:.2f} × the training step")


if __name__ == "__main__":
    main()
