"""Quantized matrix product of two activations."""

from __future__ import annotations

from torch import Tensor, nn

from sfcore.detectors.layers import MatMul
from sfcore.quant.layers.base import BitsOf, wraps
from sfcore.quant.quantizers import QUANTIZERS


@wraps(MatMul)
class QuantMatMul(nn.Module):
    """Both operands are activations, each quantized per tensor."""

    def __init__(self, layer: nn.Module, bits_of: BitsOf) -> None:
        super().__init__()
        bits = bits_of("")
        self.left_quantizer = QUANTIZERS[bits.activation_quantizer](bits.activations, affine=bits.affine)
        self.right_quantizer = QUANTIZERS[bits.activation_quantizer](bits.activations, affine=bits.affine)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.left_quantizer(a) @ self.right_quantizer(b)
