"""``nncf.quantize`` on OpenVINO's form of the network, and the same with accuracy control.

The preset "performance" has symmetric activations, "mixed" gives them zero points; the model type "transformer" leaves
more of attention and normalization in full precision. Accuracy control takes layers back to full precision until F1
agreement on the calibration frames is within .01 of full precision's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.base import PEERS, Made, Problem

PRESETS = {"performance": "PERFORMANCE", "mixed": "MIXED"}
TYPES = {"": None, "-transformer": "TRANSFORMER"}
Score = Callable[[Any, Sequence[np.ndarray]], float]


def quantized(preset: str, kind: str | None, controlled: bool, problem: Problem, folder: Path) -> Made:
    """Convert, calibrate and write."""
    import nncf
    import openvino as ov

    model, samples = ov.convert_model(problem.model), problem.samples()
    how = {"preset": nncf.QuantizationPreset[preset], "model_type": kind and nncf.ModelType[kind]}
    frames, size = nncf.Dataset(samples), len(samples)
    if controlled:
        made = nncf.quantize_with_accuracy_control(model, frames, frames, agreement(problem), subset_size=size, **how)
    else:
        made = nncf.quantize(model, frames, subset_size=size, **how)
    file = folder / "model.xml"
    ov.save_model(made, file, compress_to_fp16=False)
    return Made(file, ("openvino",))


def agreement(problem: Problem) -> Score:
    """F1 agreement of a compiled model's predictions with full precision's."""
    import torch

    from sfcore.deployment.running import running
    from sfcore.detectors.registry import create

    detector = create(problem.detector, problem.weights)

    def decoded(model: Any, samples: Sequence[np.ndarray]) -> Any:
        inputs = torch.from_numpy(np.concatenate(samples))
        with torch.no_grad():
            return detector.decode(model(inputs))

    def score(compiled: Any, samples: Any) -> float:
        given = list(samples)
        found = running(detector, lambda image: list(compiled(image).to_tuple()))
        return detector.task.agreement(decoded(detector, given), decoded(found, given)).f1

    return score


for (_preset, _how), (_type, _kind) in product(PRESETS.items(), TYPES.items()):
    PEERS.register(f"nncf-{_preset}{_type}")(partial(quantized, _how, _kind, False))
PEERS.register("nncf-mixed-transformer-controlled")(partial(quantized, "MIXED", "TRANSFORMER", True))
