"""Quantized linear layer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sfcore.quant.layers.base import BitsOf, QuantLayer, wraps


@wraps(nn.Linear)
class QuantLinear(QuantLayer):
    """Replaces ``nn.Linear``."""

    def __init__(self, layer: nn.Linear, bits_of: BitsOf) -> None:
        super().__init__(layer.weight, layer.bias, bits_of(""))

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, weight, bias)
