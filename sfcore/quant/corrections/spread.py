"""Matching the spread of what comes out of layers whose weights are rounded coarsely, such as those of one bit.

Published networks of such weights keep a batch norm behind each layer, which finds mean and spread of its output anew.
Where norms are folded into the weights, a signal that comes out of each layer a little smaller is gone after twenty;
so scales and biases are found here as a batch norm would, layer after layer. This project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.corrections import CORRECTIONS
from sfcore.quant.corrections.bias import channels, correct_biases, measured_images
from sfcore.quant.layers import QuantLayer

MOST = 64.0  # times that a scale is made larger or smaller
LEAST = 1e-9  # spread; of a channel with less, as of one value alone, nothing is known


@CORRECTIONS.register("spread")
def spread(detector: Detector, model: Detector, batches: Sequence[Tensor]) -> Detector:
    """Scale weights and shift biases until mean and standard deviation of each channel are the full-precision ones,
    where any weight is rounded coarsely; else nothing."""
    if any(layer.weight_quantizer.coarse for layer in model.modules() if isinstance(layer, QuantLayer)):
        correct_biases(model, measured_images(model, batches), _rescale)
    return model


def _rescale(layer: QuantLayer, output: Tensor, wanted: Tensor) -> Tensor:
    """Make a layer's weights so large that its output has the (C,) spread that is wanted; returns the output then."""
    quantizer = layer.weight_quantizer
    if not quantizer.coarse:
        return output
    own = channels(layer, output).std(1, correction=0)
    factors = torch.where(torch.minimum(own, wanted) > LEAST, (wanted / own).clamp(1 / MOST, MOST), 1.0)
    if quantizer.scale.numel() == 1:
        factors = factors.log().mean().exp()
    shape = (-1, *[1] * (layer.weight.ndim - 2))
    found, bias = quantizer.rescaled(factors).expand(len(layer.weight)).reshape(shape), layer.bias.reshape(shape)
    return (output - bias) * found + bias
