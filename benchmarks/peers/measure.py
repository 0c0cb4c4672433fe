"""What peers are given, written down; and what they made of it, judged by what engines put out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.base import Made, Problem, Settings
from benchmarks.peers.child import apart
from benchmarks.peers.contents import unquantized
from benchmarks.rows import Row
from sfcore.deployment.running import running
from sfcore.deployment.subjects import of_detector
from sfcore.detectors.base import Detector
from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.export.files import FULL_PRECISION, export


def written(name: str, weights: str | None, frames: Tensor, settings: Settings, folder: Path) -> Problem:
    """The problem of a detector and (N, ...) stacked frames, its files in a folder."""
    subject = of_detector(name, weights)
    (model,) = export(subject, [FULL_PRECISION], folder).files
    problem = Problem(name, weights, Path(model["path"]), folder / "frames.npy", folder / "inputs.npy", settings)
    np.save(problem.frames, frames.numpy())
    np.save(problem.inputs, subject.detector.preprocessing.normalize(frames).numpy())
    return problem


@torch.no_grad()
def judged(detector: Detector, made: Made, inputs: Tensor) -> dict[str, Any]:
    """Agreement with full precision of what each engine puts out, on (N, ...) inputs; or why it does not run."""
    full, found = detector.decode(detector(inputs)), dict[str, Any]()
    for engine in made.engines:
        try:
            model = running(detector, ENGINES[engine](made.file, 1))
            found[engine] = detector.task.agreement(full, model.decode(model(inputs))).to_dict()
        except InputError as error:
            found[engine] = {"error": str(error)}
    return found


def measured(peer: str, problem: Problem, detector: Detector, test: Tensor, folder: Path) -> Row:
    """One peer on one problem: what it took and made, and how that does on (N, ...) inputs."""
    made, took = apart(peer, problem, folder)
    if made is None:
        return took
    products, left = unquantized(made.file)
    about = {"bits": made.bits, "products": products, "unquantized": left}
    return took | about | {"engines": judged(detector, made, test)}
