"""A network that reads points leaves with its scattering, and computes the same in onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sfcore.datasets.lidar import sweep
from sfcore.detectors.base import Detector
from sfcore.detectors.centerpoint import BOX, CenterPoint
from sfcore.detectors.centerpoint_decode import Picking
from sfcore.detectors.centerpoint_network import Stages
from sfcore.detectors.pillars import HardPillars, Pillars
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.inputs.points import PointCloud
from sfcore.quant import Scheme, quantize

CLOUD = PointCloud((-20.48, -20.48, 20.48, 20.48), (-3.0, 2.2), 0.64, most=8192)
ABOUT = {"detector": "points", "versions": {"sfcore": "0"}, "scheme": {"bits": "W8A8", "target": "portable"}}


def small(pillars: Pillars) -> Detector:
    """CenterPoint at a few hundred operations a cell."""
    torch.manual_seed(0)
    picking = Picking(0.1, 100, 50, 0.2, (20.0, 20.0, 10.0))
    stages = Stages((1, 1), (1, 2), (8, 8), (1, 2), 8)
    return CenterPoint(CLOUD, pillars, 8, stages, [("vehicle",)], BOX, 8, 8, picking).eval()


def run(file: Path, inputs: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(file)
    return session.run(None, {session.get_inputs()[0].name: inputs.numpy()})


@pytest.mark.parametrize("pillars", [Pillars(CLOUD, (8,)), HardPillars(CLOUD, (8, 8), 5)], ids=["any", "hard"])
def test_onnxruntime_computes_what_the_network_does(pillars: Pillars, tmp_path: Path):
    detector = small(pillars)
    inputs = detector.preprocess([sweep(1, 32).points])
    export(Subject(detector, None, ABOUT), ["onnx-fp32"], tmp_path)
    with torch.no_grad():
        expected = detector(inputs)
    for found, value in zip(run(tmp_path / "model-fp32.onnx", inputs), expected.values(), strict=True):
        np.testing.assert_allclose(found, value, atol=1e-4)


def test_a_quantized_network_leaves_as_integers(tmp_path: Path):
    detector, scheme = small(Pillars(CLOUD, (8,))), Scheme.parse("W8A8-portable")
    inputs = detector.preprocess([sweep(1, 32).points])
    model = quantize(detector, scheme, [inputs], "minmax", "minmax", bias_correction=False)
    assert not model.full_precision
    subject = replace(Subject(detector, model, ABOUT), signed=scheme.profile.signed)
    export(subject, ["onnx"], tmp_path)
    with torch.no_grad():
        expected = model(inputs)
    for found, value in zip(run(tmp_path / "model.onnx", inputs), expected.values(), strict=True):
        np.testing.assert_allclose(found, value, atol=0.1 * value.abs().max().item())  # a few roundings
