"""The fake quantizer: rounds to the values that an integer of some bits times a step size can take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class _FakeQuantize(torch.autograd.Function):
    """clamp(round(x / s), low, high) · s with the straight-through gradient of LSQ (Esser et al. 2019, eq. 3).

    d/dx is 1 inside the range and 0 outside; d/ds is round(x/s) - x/s inside and low or high outside.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
        steps = (x / scale).round_()
        clamped = steps.clamp(low, high)
        inside = steps == clamped if any(ctx.needs_input_grad) else None
        values = clamped.mul_(scale)
        # Both are kept by the neighbouring layers anyway, so saving them costs no memory.
        kept = (x, values, scale) if ctx.needs_input_grad[1] else (None, None, None)
        ctx.save_for_backward(inside, *kept)
        return values

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        inside, x, values, scale = ctx.saved_tensors
        to_x = grad * inside
        if scale is None:
            return to_x, None, None, None
        # sum g · (round(x/s) - x/s) inside and g · limit outside, without a tensor for the difference
        if scale.numel() == 1:
            to_scale = ((_dot(grad, values) - _dot(to_x, x)) / scale).reshape(scale.shape)
        else:
            to_scale = (grad * values - to_x * x).sum_to_size(scale.shape) / scale
        return to_x if ctx.needs_input_grad[0] else None, to_scale, None, None


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of a · b; in one pass where both lie in memory in the same order without gaps."""
    dense = a.is_contiguous() or (a.ndim == 4 and a.is_contiguous(memory_format=torch.channels_last))
    if dense and a.stride() == b.stride():
        return torch.dot(a.as_strided((a.numel(),), (1,)), b.as_strided((b.numel(),), (1,)))
    return (a * b).sum()


class FakeQuantizer(nn.Module):
    """Symmetric fake quantization with zero point 0.

    Integers run from -2^(b-1) to 2^(b-1) - 1; a tensor that is never negative (after a ReLU or softmax)
    uses 0 to 2^b - 1 instead, which :meth:`set_range` decides.

    Attributes:
        scale: the step size; a parameter, so that a method may learn it.
        signed: buffer, whether negative integers are used.
    """

    scale: nn.Parameter
    signed: Tensor

    def __init__(self, bits: int, scale_shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.bits = bits
        self.active = True
        self.scale = nn.Parameter(torch.ones(scale_shape), requires_grad=False)
        self.register_buffer("signed", torch.tensor(True))

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest integer."""
        return limits(self.bits, bool(self.signed))

    def set_range(self, scale: Tensor, signed: bool) -> None:
        """Adopt a calibrated step size."""
        with torch.no_grad():
            self.scale.copy_(scale.reshape(self.scale.shape))
            self.signed.fill_(signed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return x
        low, high = self.limits
        return _FakeQuantize.apply(x, self.scale, low, high)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={bool(self.signed)}"


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
