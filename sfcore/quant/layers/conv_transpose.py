"""Quantized transposed convolution in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sfcore.quant.layers.base import BitsOf, QuantLayer, wraps

_CONVOLUTIONS = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


@wraps(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
class QuantConvTranspose(QuantLayer):
    """Its weight has output channels second, group by group; here they are first, as quantization per output channel
    needs them."""

    def __init__(self, layer: Any, bits_of: BitsOf) -> None:
        super().__init__(_exchanged(layer.weight, layer.groups), layer.bias, bits_of(""))
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups
        self.output_padding, self.dilation = layer.output_padding, layer.dilation

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """As in torch; ``output_size`` may have all dimensions of the output, or those of its map."""
        more = self.output_padding if output_size is None else self._padding_for(input, output_size)
        x = self.input_quantizer(self.presented(input))
        return self.compute(x, self.rounded_weight(), self.rounded_bias(), more)

    @property
    def shiftable(self) -> bool:
        """Never: how many values of a channel an output reads differs from place to place."""
        return False

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor, output_padding: Sequence[int] | None = None) -> Tensor:
        weight, more = _exchanged(weight, self.groups), output_padding or self.output_padding
        convolve = _CONVOLUTIONS[weight.ndim - 2]
        return convolve(x, weight, bias, self.stride, self.padding, more, self.groups, self.dilation)

    def _padding_for(self, x: Tensor, size: Sequence[int]) -> list[int]:
        """What must be added to the smallest output so that it has ``size``."""
        dimensions = self.weight.ndim - 2
        shapes = zip(
            size[-dimensions:], x.shape[-dimensions:], self.weight.shape[2:], self.stride, self.padding, self.dilation,
            strict=True,
        )  # fmt: skip
        return [out - ((i - 1) * stride - 2 * pad + step * (k - 1) + 1) for out, i, k, stride, pad, step in shapes]


def _exchanged(weight: Tensor, groups: int) -> Tensor:
    """A weight (inputs, outputs / groups, …) as (outputs, inputs / groups, …), and the other way round."""
    return weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
