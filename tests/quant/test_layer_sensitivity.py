"""Which layer moves the prediction."""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant import Scheme, quantize
from sfcore.quant.inference import run
from sfcore.quant.layer_sensitivity import layer_sensitivities
from sfcore.quant.quantizers import quantizers


def test_the_layer_with_ruined_steps_is_convicted_and_nothing_is_left_switched(small: Detector, pixels: Tensor):
    model = quantize(small, Scheme.parse("W8A8"), list(small.preprocessing.normalize(pixels).split(8)))
    model.get_submodule("middle.weight_quantizer").scale.data *= 40
    before = run(model, pixels)
    found = layer_sensitivities(small, model, pixels)
    assert (found[0].layer, found[0].part, found[0].bits) == ("middle", "weight", 8)
    assert found[0].distortion > 5 * found[1].distortion
    assert found[0].distortion == sum(found[0].parts.values())
    assert len(found) == len(list(quantizers(model)))
    assert all(torch.equal(value, before[name]) for name, value in run(model, pixels).items())
