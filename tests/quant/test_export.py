"""A calibrated model is tensor code: torch.export takes it, whatever the detector."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create, entries, entry
from sfcore.quant import Scheme, quantize
from sfcore.quant.convert import example
from sfcore.quant.quantizers import quantizers

ALWAYS = ("ganet-tiny", "lstr-tiny", "laneatt-tiny", "resa-tiny")  # all others take minutes together: --every-run


@pytest.mark.parametrize("name", [each.name for each in entries()])
@torch.no_grad()
def test_a_quantized_detector_passes_export(name: str, request: pytest.FixtureRequest) -> None:
    if not name.endswith(ALWAYS) and not request.config.getoption("--every-run"):
        pytest.skip("only with --every-run")
    torch.manual_seed(0)
    detector = create(name) if entry(name).weights else entry(name).build().eval()
    inputs = example(detector)
    model = quantize(detector, Scheme.parse("W8A8"), [inputs], "minmax", "minmax", bias_correction=False)
    assert_exported_computes_the_same(model, inputs)


@torch.no_grad()
def test_a_quantized_detector_with_zero_points_passes_export() -> None:
    detector = create("lstr-tiny")
    inputs = example(detector)
    assert_exported_computes_the_same(quantize(detector, Scheme.parse("W4A4-affine"), [inputs]), inputs)


def assert_exported_computes_the_same(model: Detector, inputs: Tensor) -> None:
    """Also of an input that was not there when the program was made."""
    program = torch.export.export(model, (inputs,), strict=False).module()
    for images in (inputs, inputs.flip(-1) * 0.9):
        expected, found = model(images), program(images)
        assert found.keys() == expected.keys()
        for head, value in expected.items():
            torch.testing.assert_close(found[head], value, rtol=0, atol=1e-5 * float(value.abs().max().clamp_min(1)))


def test_integers_are_known_without_a_look_into_tensors() -> None:
    detector = create("lstr-tiny")
    model = quantize(detector, Scheme.parse("W4A8"), [example(detector)], bias_correction=False)
    for name, quantizer in quantizers(model):
        found = quantizer.integers
        assert type(found.low) is type(found.high) is int and found.high - found.low == 2**found.bits - 1
        if name.endswith("weight_quantizer"):
            layer = model.get_submodule(name.rpartition(".")[0])
            steps = quantizer(layer.weight.detach()) / found.scale
            assert float((steps - steps.round()).abs().max()) < 1e-3
            assert found.low <= float(steps.min()) and float(steps.max()) <= found.high + 1e-3
