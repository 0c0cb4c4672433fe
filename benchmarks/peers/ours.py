"""This project's own: calibrated as it does by default, with bits for each layer, and tuned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.base import PEERS, Made, Problem
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.quant import Scheme, quantize
from sfcore.quant.allocation import Constraints, allocator
from sfcore.quant.budget import parse_budgets
from sfcore.quant.cost import Profile
from sfcore.quant.methods.best import Best
from sfcore.quant.reconstruct.engine import Tuner
from sfcore.runs.session import split

BATCH = 8
CANDIDATES = (4, 6, 8, 16)  # bits that layers may get
HELD_BACK = 4  # of so many frames one decides which state of tuning is kept


@dataclass(frozen=True)
class _Given:
    """A problem that is loaded.

    Attributes:
        frames: (N, ...) stacked.
    """

    detector: Detector
    frames: Tensor
    scheme: Scheme

    @classmethod
    def of(cls, problem: Problem) -> _Given:
        detector = create(problem.detector, problem.weights).requires_grad_(False)
        return cls(detector, torch.from_numpy(np.load(problem.frames)), Scheme.parse(problem.settings.scheme))

    def calibrated(self, scheme: Scheme) -> Detector:
        batches = [self.detector.preprocessing.normalize(part) for part in self.frames.split(BATCH)]
        return quantize(self.detector, scheme, batches)

    def written(self, model: Detector, scheme: Scheme, folder: Path) -> Made:
        """The ONNX file of a quantized model."""
        target = scheme.profile
        signed, integer_bias = (target.signed, target.integer_bias) if target else (False, True)
        about = {"scheme": {"bits": str(scheme), "target": scheme.target or None}}
        subject = Subject(self.detector, model, about, signed=signed, integer_bias=integer_bias)
        (file,) = export(subject, ["onnx"], folder).files
        cost = Profile.of(self.detector).cost(scheme)
        bits = f"{cost.average_weight_bits:.2f} / {cost.average_activation_bits:.2f}" if scheme.rules else scheme.base
        return Made(Path(file["path"]), ("onnxruntime", "openvino"), bits)


@PEERS.register("ours-calibrated")
def calibrated(problem: Problem, folder: Path) -> Made:
    """Calibration alone."""
    given = _Given.of(problem)
    return given.written(given.calibrated(given.scheme), given.scheme, folder)


@PEERS.register("ours-allocated")
def allocated(problem: Problem, folder: Path) -> Made:
    """Bits for each layer; of weights and of activations no more on average than the scheme has."""
    given, settings = _Given.of(problem), problem.settings
    allocating = allocator(given.detector, given.frames, Constraints(CANDIDATES), base=given.scheme, keep=False)
    most = f"{given.scheme.weight_bits}wbit", f"{given.scheme.activation_bits}abit"
    scheme = allocating.allocate(parse_budgets(most), seed=settings.seed).scheme
    return given.written(given.calibrated(scheme), scheme, folder)


@PEERS.register("ours-tuned")
def tuned(problem: Problem, folder: Path) -> Made:
    """Calibrated, then tuned by ``best``; a part of the frames decides which state is kept."""
    given, settings = _Given.of(problem), problem.settings
    model = given.calibrated(given.scheme)
    tuned_on, held_back = split([0] * len(given.frames), settings.seed, HELD_BACK)
    recipe = Best(iterations=settings.steps, learning_rate=settings.rate)
    frames = given.frames
    tuner = Tuner(given.detector, model, frames[tuned_on], frames[held_back], recipe, seed=settings.seed)
    while not tuner.done:
        tuner.step()
    tuner.keep_best()
    return given.written(tuner.quantized, given.scheme, folder)
