"""Detectors that ship keep their promises to quantization; transposed convolutions are quantized like others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfcore.detectors.contract import Check, Subject, broken, subject
from sfcore.detectors.registry import create, entries
from sfcore.quant.contract import CHECKS
from sfcore.quant.convert import fold_batch_norm
from sfcore.quant.layers import replacement
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Bits
from tests.detectors.frames import FRAMES
from tests.detectors.user_made import USER_MADE


@pytest.fixture(scope="module", params=[*(each.name for each in entries() if each.weights), *USER_MADE])
def detector(request: pytest.FixtureRequest) -> Subject:
    made = USER_MADE.get(request.param)
    found = made().eval() if made else create(request.param)
    return subject(found, FRAMES[found.preprocessing.kind])


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_promise(check: Check, detector: Subject):
    assert broken(check, detector) is None


def upsampler() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.ConvTranspose2d(3, 5, 3, 2, 1, 1), nn.BatchNorm2d(5)).eval().requires_grad_(False)
    nn.init.uniform_(layers[1].running_mean, -0.5, 0.5)
    nn.init.uniform_(layers[1].running_var, 0.5, 2.0)
    nn.init.uniform_(layers[1].weight, 0.5, 1.5)
    return layers


def test_batch_norm_after_a_transposed_convolution_is_folded():
    layers, x = upsampler(), torch.randn(2, 3, 6, 8)
    expected = layers(x)
    fold_batch_norm(layers, x)
    assert isinstance(layers[1], nn.Identity)
    torch.testing.assert_close(layers(x), expected)


def test_a_quantized_transposed_convolution_computes_the_same_and_has_a_step_for_each_output_channel():
    layer, x = upsampler()[0], torch.randn(2, 3, 6, 8)
    build = replacement(layer)
    assert build is not None
    quantized = build(layer, lambda _: Bits(8, 8))
    with full_precision(quantized):
        torch.testing.assert_close(quantized(x), layer(x))
    assert quantized.weight.shape == (5, 3, 3, 3) and quantized.weight_quantizer.scale.numel() == 5
