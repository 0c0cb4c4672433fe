"""Quantized residual add of two activations."""

from __future__ import annotations

from torch import Tensor, nn

from sfcore.quant.layers.base import activation_quantizer
from sfcore.quant.scheme import Bits


class QuantAdd(nn.Module):
    """Replaces :class:`sfcore.detectors.layers.Add` where a scheme quantizes adds: both inputs, each per tensor.

    It multiplies nothing, so it is none of the layers whose cost or sensitivity is counted.
    """

    def __init__(self, bits: Bits) -> None:
        super().__init__()
        self.left_quantizer, self.right_quantizer = activation_quantizer(bits), activation_quantizer(bits)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.left_quantizer(a) + self.right_quantizer(b)
