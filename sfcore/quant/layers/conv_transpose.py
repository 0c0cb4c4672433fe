"""Quantized transposed 2-D convolution."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from sfcore.errors import InputError
from sfcore.quant.layers.base import BitsOf, QuantLayer, wraps


@wraps(nn.ConvTranspose2d)
class QuantConvTranspose2d(QuantLayer):
    """Its weight has output channels second; here they are first, as quantization per output channel needs them."""

    def __init__(self, layer: nn.ConvTranspose2d, bits_of: BitsOf) -> None:
        super().__init__(layer.weight.transpose(0, 1), layer.bias, bits_of(""))
        if layer.groups != 1:
            raise InputError(f"a transposed convolution has {layer.groups} groups: only 1 can be quantized")
        assert not isinstance(layer.padding, str)  # torch knows no names of paddings here
        self.stride, self.padding = layer.stride, layer.padding
        self.output_padding, self.dilation = layer.output_padding, layer.dilation

    def compute(self, x: Tensor, weight: Tensor) -> Tensor:
        weight = weight.transpose(0, 1)
        return functional.conv_transpose2d(
            x, weight, self.bias, self.stride, self.padding, self.output_padding, 1, self.dilation
        )
