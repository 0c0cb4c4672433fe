"""Quantized matrix product of two activations."""

from __future__ import annotations

from torch import Tensor, nn

from sfcore.detectors.layers import MatMul
from sfcore.quant.layers.base import BitsOf, activation_quantizer, wraps


@wraps(MatMul)
class QuantMatMul(nn.Module):
    """Both operands are activations, each quantized per tensor."""

    def __init__(self, layer: nn.Module, bits_of: BitsOf) -> None:
        super().__init__()
        bits = bits_of("")
        self.left_quantizer, self.right_quantizer = activation_quantizer(bits), activation_quantizer(bits)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.left_quantizer(a) @ self.right_quantizer(b)
