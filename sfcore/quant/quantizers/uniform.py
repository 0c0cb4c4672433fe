"""The fake quantizer: rounds to the values that an integer of some bits times a step size can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class _FakeQuantize(torch.autograd.Function):
    """(clamp(round(x / s) + z, low, high) - z) · s with the straight-through gradients of LSQ+ (Bhalgat et al. 2020).

    d/dx is 1 inside the range and 0 outside; d/ds is round(x/s) - x/s inside, low - z or high - z outside;
    d/dz is 0 inside and -s outside. Without a zero point these are the gradients of LSQ (Esser et al. 2019, eq. 3).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor | None, low: int, high: int) -> Tensor:
        whole = None if zero is None else zero.round()
        steps = _integers(x, scale, whole)
        clamped = steps.clamp(low, high)
        inside = steps == clamped
        values = _values(clamped, scale, whole)
        # Both are kept by the neighbouring layers anyway, so saving them costs no memory.
        kept = (x, values) if ctx.needs_input_grad[1] else (None, None)
        ctx.save_for_backward(inside, scale, *kept)
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inside, scale, x, values = ctx.saved_tensors
        for_x, for_scale, for_zero, *_ = ctx.needs_input_grad
        to_x = grad * inside
        to_scale = _scale_gradient(grad, to_x, x, values, scale) if for_scale else None
        to_zero = (to_x - grad).sum_to_size(scale.shape) * scale if for_zero else None
        return to_x if for_x else None, to_scale, to_zero, None, None


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


class FakeQuantizer(nn.Module):
    """Fake quantization: symmetric, or affine with a zero point.

    Symmetric integers run from -2^(b-1) to 2^(b-1) - 1; a tensor that is never negative (after a ReLU or softmax)
    uses 0 to 2^b - 1 instead, which :meth:`set_range` decides. Affine ones run from 0 to 2^b - 1, and one of them,
    the zero point, stands for 0.

    Args:
        bits: of the integers.
        scale_shape: of the step sizes; broadcasts over what is quantized.
        affine: whether there is a zero point.

    Attributes:
        scale: the step size; a parameter, so that a method may learn it.
        zero: the zero point, of the same shape; None where symmetric. A whole number as calibrated; learned, it may
            be any number, is rounded when used, and takes the gradient of the rounded one. The offset β of LSQ+
            is -zero · scale.
        signed: buffer, whether negative integers are used.
        known: whether there is a range to round to; where not, which its state says by a step size of NaN, values
            pass as they are.
    """

    scale: nn.Parameter
    zero: nn.Parameter | None
    signed: Tensor

    def __init__(self, bits: int, scale_shape: tuple[int, ...] = (), affine: bool = False) -> None:
        super().__init__()
        self.bits = bits
        self.active = self.known = True
        self.scale = nn.Parameter(torch.ones(scale_shape), requires_grad=False)
        zero = nn.Parameter(torch.zeros(scale_shape), requires_grad=False) if affine else None
        self.register_parameter("zero", zero)
        self.register_buffer("signed", torch.tensor(not affine))

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest integer."""
        return limits(self.bits, bool(self.signed))

    def set_range(self, scale: Tensor, signed: bool, zero: Tensor | None = None) -> None:
        """Adopt a calibrated step size and, where affine, zero point."""
        with torch.no_grad():
            self.scale.copy_(scale.reshape(self.scale.shape))
            self.signed.fill_(signed)
            if self.zero is not None and zero is not None:
                self.zero.copy_(zero.reshape(self.zero.shape))
        self.known = True

    def set_unknown(self) -> None:
        """Round nothing until a range is set: no calibration image led here."""
        with torch.no_grad():
            self.scale.fill_(float("nan"))
        self.known = False

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.known = not bool(self.scale.isnan().any())

    def forward(self, x: Tensor) -> Tensor:
        if not (self.active and self.known):
            return x
        scale, zero, (low, high) = self.scale, self.zero, self.limits
        learned = x.requires_grad or scale.requires_grad or (zero is not None and zero.requires_grad)
        if learned and torch.is_grad_enabled():
            return _FakeQuantize.apply(x, scale, zero, low, high)
        whole = None if zero is None else zero.round()
        return _values(_integers(x, scale, whole).clamp_(low, high), scale, whole)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FakeQuantizer:
        """As of every module, but ``signed`` stays on the CPU: each call reads it, and would wait for a GPU."""
        signed = self.signed
        super()._apply(fn, recurse)
        self.signed = signed
        return self

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={bool(self.signed)}, affine={self.zero is not None}"


def limits(bits: int, signed: bool) -> tuple[int, int]:
    """The smallest and largest integer of ``bits`` bits."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def quantizers(model: nn.Module) -> Iterator[tuple[str, FakeQuantizer]]:
    """All fake quantizers of a model with their names."""
    for name, module in model.named_modules():
        if isinstance(module, FakeQuantizer):
            yield name, module


@contextmanager
def full_precision(model: nn.Module, only: str | None = None) -> Iterator[None]:
    """Within the block quantization is off, everywhere or in quantizers whose name ends in ``only``."""
    chosen = [q for name, q in quantizers(model) if only is None or name.endswith(only)]
    before = [q.active for q in chosen]
    try:
        for quantizer in chosen:
            quantizer.active = False
        yield
    finally:
        for quantizer, active in zip(chosen, before, strict=True):
            quantizer.active = active
