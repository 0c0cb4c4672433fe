"""What engines hold in place of what quantizers round: types, integers, step sizes and zero points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer

MOST = 2**31 - 2**10  # steps of a bias: what 32 bits hold, less what float32 may lose of a step that is made larger
OPSET_OF_SMALL_TYPES = 21  # the first with INT4, INT16 and UINT16
# The types of ONNX by their most bits, as (type, smallest integer).
WEIGHT_TYPES = {4: (TensorProto.INT4, -8), 8: (TensorProto.INT8, -128), 16: (TensorProto.INT16, -(2**15))}
ACTIVATION_TYPES = {
    True: {8: (TensorProto.INT8, -128), 16: (TensorProto.INT16, -(2**15))},
    False: {8: (TensorProto.UINT8, 0), 16: (TensorProto.UINT16, 0)},
}


@dataclass(frozen=True)
class Activation:
    """How an engine rounds an activation: value = (integer - zero) · scale.

    Attributes:
        type: of the integer, as ONNX numbers types.
        low, high: the range, in integers of that type.
        whole: whether these are all that the type has, so that the type itself limits values.
    """

    type: int
    bits: int
    scale: float
    zero: int
    low: int
    high: int
    whole: bool

    @classmethod
    def of(cls, quantizer: Quantizer, signed: bool) -> Activation:
        """What a quantizer of one step size rounds to, held in the smallest type that has room for it.

        Args:
            signed: whether signed types are asked for; in unsigned ones, which more engines run rightly, a signed
                range is shifted by half of the type's.
        """
        found = quantizer.integers
        bits = 8 if found.bits <= 8 else 16
        kind, least = ACTIVATION_TYPES[signed][bits]
        zero = 0 if found.zero is None else int(found.zero)
        shift = 2 ** (bits - 1) if least == 0 and found.low < 0 else 0
        whole = (found.low + shift, found.high + shift) == (least, least + 2**bits - 1)
        return cls(kind, found.bits, float(found.scale), zero + shift, found.low + shift, found.high + shift, whole)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return (self.low - self.zero) * self.scale, (self.high - self.zero) * self.scale


@dataclass(frozen=True)
class Held:
    """A weight or a bias as an engine holds it: value = integer · scale.

    Attributes:
        type: of the integers, as ONNX numbers types.
        integers: int32 array of the shape of the values.
        scale: float32, one number or one for each entry of the first dimension.
    """

    type: int
    integers: np.ndarray
    scale: np.ndarray


@torch.no_grad()
def held(layer: QuantLayer, opset: int) -> tuple[Held, Held | None, int]:
    """The weight and the bias of a quantized layer, and how many channels needed larger steps.

    A channel whose weights are nearly nothing has a bias of more steps than 32 bits hold; its step is made larger
    until they do. The values of its weights are so small then that what this changes is far below the bias' own
    rounding in float32.

    Returns:
        None as the bias where the layer's input is not rounded.
    """
    quantizer = layer.weight_quantizer
    scale = quantizer.integers.scale
    values = quantizer(layer.weight)
    integers, raised = (values / scale).round(), 0
    step = layer.bias_step()
    if step is None:
        return _held_weight(quantizer, integers, scale, opset), None, 0
    larger = (layer.bias.abs() / (step * MOST)).clamp(min=1.0)
    raised = int((larger > 1).sum())
    if raised:
        larger = larger if scale.numel() > 1 else larger.max().expand_as(larger)
        scale = scale * larger[: scale.numel()].reshape(scale.shape)
        step = step * larger
        integers = (values / scale).round()
    steps = (layer.bias.double() / step.double()).round()
    bias = Held(TensorProto.INT32, steps.to(torch.int64).numpy().astype(np.int32), _numbers(step))
    return _held_weight(quantizer, integers, scale, opset), bias, raised


def _held_weight(quantizer: Quantizer, integers: Tensor, scale: Tensor, opset: int) -> Held:
    least = 8 if opset < OPSET_OF_SMALL_TYPES else 0
    bits = next(bits for bits in WEIGHT_TYPES if bits >= max(quantizer.bits, least))
    return Held(WEIGHT_TYPES[bits][0], integers.to(torch.int32).numpy(), _numbers(scale.flatten()))


def _numbers(scale: Tensor) -> np.ndarray:
    """One number where all are of one step."""
    flat: Any = scale.detach().float().numpy()
    return flat.reshape(()) if flat.size == 1 else flat
