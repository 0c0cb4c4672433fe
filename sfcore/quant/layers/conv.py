"""Quantized convolution in one, two and three dimensions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sfcore.quant.layers.base import BitsOf, QuantLayer, wraps

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@wraps(nn.Conv1d, nn.Conv2d, nn.Conv3d)
class QuantConv(QuantLayer):
    """Other padding than zeros is made of the quantized input, whose values it repeats."""

    def __init__(self, layer: Any, bits_of: BitsOf) -> None:
        super().__init__(layer.weight, layer.bias, bits_of(""))
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        self.padding = layer.padding if layer.padding_mode == "zeros" else 0
        self.edges = () if layer.padding_mode == "zeros" else tuple(layer._reversed_padding_repeated_twice)
        self.padding_mode = layer.padding_mode

    @property
    def shiftable(self) -> bool:
        """Where nothing is padded, or with values of the input."""
        if isinstance(self.padding, str):
            return self.padding == "valid" or set(self.weight.shape[2:]) == {1}
        return not any(self.padding) if isinstance(self.padding, tuple) else not self.padding

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = functional.pad(x, self.edges, self.padding_mode) if self.edges else x
        convolve = _CONVOLUTIONS[weight.ndim - 2]
        return convolve(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)
