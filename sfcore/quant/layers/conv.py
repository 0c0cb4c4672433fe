"""Quantized 2-D convolution."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sfcore.errors import InputError
from sfcore.quant.layers.base import BitsOf, QuantLayer, wraps


@wraps(nn.Conv2d)
class QuantConv2d(QuantLayer):
    def __init__(self, layer: nn.Conv2d, bits_of: BitsOf) -> None:
        super().__init__(layer.weight, layer.bias, bits_of(""))
        if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
            raise InputError(
                f"a convolution pads with {layer.padding_mode!r}, {layer.padding!r}: only zeros can be quantized"
            )
        self.stride, self.padding = layer.stride, layer.padding
        self.dilation, self.groups = layer.dilation, layer.groups

    def compute(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
