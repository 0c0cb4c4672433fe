"""Detectors that are cheap to calibrate and to export, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.datasets.images import find_images, read_images
from sfcore.deployment.subjects import of_detector
from sfcore.detectors.base import Detector, Outputs
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.quant import Scheme, quantize
from sfcore.resources import sample_data
from tests.detectors.small import Small

SCENES = tuple(str(sample_data() / "scenes" / name) for name in ("00-curve.jpg", "03-night.jpg"))
ABOUT = {"detector": "small", "versions": {"sfcore": "0"}}


@cache
def calibrated(name: str, scheme: str) -> Subject:
    """A shipped detector, calibrated on two scenes; shared, so never change it."""
    return of_detector(name, scheme=Scheme.parse(scheme), images=SCENES)


@cache
def small_images() -> Tensor:
    """(8, 3, 32, 64) float32"""
    pixels = torch.randint(0, 256, (8, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Small().preprocessing.normalize(pixels)


@cache
def small_subject(text: str, batch: int | str = 8, opset: int = 21) -> Subject:
    """The detector of all kinds of layers, with the types and biases that its target asks for."""
    torch.manual_seed(0)
    detector, scheme = Small().eval().requires_grad_(False), Scheme.parse(text)
    model = quantize(detector, scheme, [small_images()], "minmax", "minmax", bias_correction=False)
    target = scheme.profile
    signed, integer_bias = (target.signed, target.integer_bias) if target else (False, True)
    return Subject(detector, model, ABOUT | {"scheme": {"bits": text, "target": scheme.target or None}},
                   opset, batch, signed, integer_bias)  # fmt: skip


def frames(detector: Detector) -> Tensor:
    """The two scenes, preprocessed."""
    return detector.preprocess(read_images(find_images(SCENES, 2)))


@torch.no_grad()
def simulated(model: Detector, images: Tensor) -> Outputs:
    found: Outputs = model(images)
    return found


def unoptimised(path: Path, images: Tensor) -> dict[str, np.ndarray]:
    """What onnxruntime computes where it carries out the file as it stands."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"images": images.numpy()}), strict=True))


def departure(found: dict[str, np.ndarray], expected: Outputs) -> float:
    """The largest difference of all heads, as a share of the head's largest value."""
    assert list(found) == list(expected)
    return max(
        float(np.abs(found[head] - value.numpy()).max() / max(float(value.abs().max()), 1e-9))
        for head, value in expected.items()
    )


Exported = Callable[..., Path]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Exports once what tests ask for: ``exported("ganet-tiny", "W8A8-portable", "onnx")`` is the folder."""

    @cache
    def made(name: str, scheme: str, *formats: str, batch: int | str = 1) -> Path:
        folder = tmp_path_factory.mktemp(f"{name}-{scheme}")
        export(replace(calibrated(name, scheme), batch=batch), formats, folder)
        return folder

    return made
