"""A calibrated model is tensor code: torch.export takes it, whatever the detector."""

from __future__ import annotations

import pytest
import torch

from sfcore.detectors.registry import create, entries, entry
from sfcore.quant import Scheme, quantize
from sfcore.quant.convert import example
from sfcore.quant.quantizers import quantizers

ALWAYS = "tiny"  # the others are of the same code, and take minutes: --every-run


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in entries()])
def test_a_quantized_detector_passes_export(name: str, request: pytest.FixtureRequest) -> None:
    if not name.endswith(ALWAYS) and not request.config.getoption("--every-run"):
        pytest.skip("only with --every-run")
    torch.manual_seed(0)
    detector = create(name) if entry(name).weights else entry(name).build().eval()
    inputs = example(detector)
    model = quantize(detector, Scheme.parse("W8A8-affine"), [inputs], "minmax", "minmax", bias_correction=False)
    with torch.no_grad():
        exported = torch.export.export(model, (inputs,)).module()
        expected, found = model(inputs), exported(inputs)
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
