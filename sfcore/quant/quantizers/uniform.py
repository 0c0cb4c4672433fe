"""The uniform quantizer: rounds to the values that an integer of some bits times a step size can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sfcore.quant.calibrators import Calibrator, Grid
from sfcore.quant.quantizers.base import QUANTIZERS, Quantizer


class _FakeQuantize(torch.autograd.Function):
    """(clamp(round(x / s) + z, low, high) - z) · s with the straight-through gradients of LSQ+ (Bhalgat et al. 2020).

    d/dx is 1 inside the range and 0 outside; d/ds is round(x/s) - x/s inside, low - z or high - z outside;
    d/dz is 0 inside and -s outside. Without a zero point these are the gradients of LSQ (Esser et al. 2019, eq. 3).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, low: int, high: int) -> Tensor:
        whole = None if zero is None else zero.round()
        values = _rounded(x, scale, whole, low, high)
        # Both are kept by the neighbouring layers anyway, so saving them costs no memory; what is inside the range is
        # found again, which is faster than to compare, write down, read and convert it.
        ctx.save_for_backward(x, scale, whole, values if ctx.needs_input_grad[1] else None)
        ctx.limits = low, high
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, whole, values = ctx.saved_tensors
        for_x, for_scale, for_zero, *_ = ctx.needs_input_grad
        to_x = _inner(grad, _integers(x, scale, whole), *ctx.limits)
        to_scale = _scale_gradient(grad, to_x, x, values, scale) if for_scale else None
        to_zero = (to_x - grad).sum_to_size(scale.shape) * scale if for_zero else None
        return to_x if for_x else None, to_scale, to_zero, None, None


def _rounded(x: Tensor, scale: Tensor, zero: Tensor | None, low: int, high: int) -> Tensor:
    """(clamp(round(x / s) + z, low, high) - z) · s, for a whole z; a new tensor."""
    return _values(_integers(x, scale, zero).clamp_(low, high), scale, zero)


def _inner(grad: Tensor, integers: Tensor, low: int, high: int) -> Tensor:
    """The gradient where integers are in the range and 0 elsewhere, in one pass: that of a clamp whose ends, where it
    is 0 already, lie between integers."""
    return torch.ops.aten.hardtanh_backward(grad, integers, low - 0.5, high + 0.5)


def _integers(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """round(x / s) + z, not clamped; a new tensor."""
    steps = (x / scale).round_()
    return steps if zero is None else steps.add_(zero)


def _values(integers: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """What integers stand for; they are overwritten."""
    return integers.mul_(scale) if zero is None else integers.sub_(zero).mul_(scale)


def _scale_gradient(grad: Tensor, inner: Tensor, x: Tensor, values: Tensor, scale: Tensor) -> Tensor:
    """sum g · (round(x/s) - x/s) inside and g · limit outside, without a tensor for the difference."""
    if scale.numel() == 1:
        return ((_dot(grad, values) - _dot(inner, x)) / scale).reshape(scale.shape)
    return (grad * values - inner * x).sum_to_size(scale.shape) / scale


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of a · b; in one pass where both lie in memory in the same order without gaps."""
    dense = a.is_contiguous() or (a.ndim == 4 and a.is_contiguous(memory_format=torch.channels_last))
    if dense and a.stride() == b.stride():
        return torch.dot(a.as_strided((a.numel(),), (1,)), b.as_strided((b.numel(),), (1,)))
    return (a * b).sum()


@QUANTIZERS.register("uniform")
class FakeQuantizer(Quantizer):
    """Integers at equal distances: symmetric, or affine with a zero point.

    Symmetric integers run from -2^(b-1) to 2^(b-1) - 1; a tensor that is never negative (after a ReLU or softmax)
    uses 0 to 2^b - 1 instead, which calibration decides. Affine ones run from 0 to 2^b - 1, and one of them,
    the zero point, stands for 0.
    """

    learnable = frozenset({"steps", "offsets", "rounding"})

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest integer."""
        return limits(self.bits, self.signed)

    def takes(self, negative: bool) -> bool:
        """One bit without a zero point has no integers but 0 and 1; with a sign they would be -1 and 0."""
        return self.bits > 1 or self.zero is not None or not (negative or self.always_signed)

    def calibrate(self, batches: Sequence[Tensor], negative: bool, search: Calibrator) -> None:
        affine = self.zero is not None
        signed = (negative or self.always_signed) and not affine
        found = search(batches, Grid(*limits(self.bits, signed), affine))
        self.set_range(found.scale, signed, found.zero)

    def rounded(self, x: Tensor) -> Tensor:
        scale, zero, (low, high) = self.scale, self.zero, self.limits
        asked = torch.is_grad_enabled()
        if asked and (x.requires_grad or scale.requires_grad or (zero is not None and zero.requires_grad)):
            return _FakeQuantize.apply(x, scale, zero, low, high)
        whole = None if zero is None else zero.round()
        return _rounded(x, scale, whole, low, high)


def limits(bits: int, signed: bool) -> tuple[int, int]:
    """The smallest and largest integer of ``bits`` bits."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
