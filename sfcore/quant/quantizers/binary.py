"""The binary quantizer: weights of one bit, as in IR-Net (Qin et al. 2020) and DIR-Net (Qin et al. 2022).

Each channel is balanced, ŵ = w - mean(w), so that both signs are about as frequent and a bit tells most; its values are
±2^s, which integer kernels multiply by in shifting.

There s is taken of standardised weights, for a batch norm behind each layer finds the magnitude anew. Here norms are
folded into the weights before these are quantized, so s is taken of weights that are not standardised: 2^s is the power
of two next to mean|ŵ|, the best scale of XNOR-Net (Rastegari et al. 2016). And it is no function of the weights later
on, but may be learned, rounded to a power of two all along. Both are this project's changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sfcore.quant.calibrators import Calibrator
from sfcore.quant.estimators import ESTIMATORS, USUAL, WORTH, Slope
from sfcore.quant.quantizers.base import QUANTIZERS, Integers, Quantizer

SMALLEST = 2.0**-60  # scale: of a channel whose weights are all alike


class _Sign(torch.autograd.Function):
    """-1 below 0, 1 from there on, with an estimator's slope for its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Slope) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return signs(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.slope(x), None


@QUANTIZERS.register("binary")
class WeightBinarizer(Quantizer):
    """sign(ŵ) · 2^s for each row that has a scale: an output channel, or the whole weight.

    The gradient goes through balancing and standardising, as published; to the scale, if it is learned, as if it were
    not rounded.

    Attributes:
        estimator: the name of what stands for the derivative of the sign.
        progress: the share of the iterations of learning that are over, from 0 to 1; only the derivative depends on it.
    """

    learnable = frozenset({"steps"})

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.estimator, self.progress = USUAL, 0.0

    @property
    def limits(self) -> tuple[int, int]:
        """The two integers that there are; 0 is none."""
        return -1, 1

    @property
    def integers(self) -> Integers:
        return Integers(self.bits, *self.limits, power_of_two(self.scale.detach()), None)

    def calibrate(self, batches: Sequence[Tensor], negative: bool, search: Calibrator) -> None:
        """Take the powers of two next to the mean magnitudes; there is no range to search for."""
        rows = torch.cat(list(batches), 1)
        self.set_range(power_of_two(balanced(rows).abs().mean(1)), signed=True)

    def anneal(self, progress: float, estimator: str) -> None:
        self.progress, self.estimator = progress, estimator

    def rounded(self, x: Tensor) -> Tensor:
        rows = standardised(balanced(x.reshape(self.scale.numel(), -1)))
        learned = rows.requires_grad and torch.is_grad_enabled()
        found = _Sign.apply(rows, self.slope(rows)) if learned else signs(rows)
        return found.reshape(x.shape) * self._scale()

    def slope(self, rows: Tensor) -> Slope:
        """The derivative of the sign at present, for standardised values."""
        return ESTIMATORS[self.estimator](rows.detach(), self.progress)

    def _scale(self) -> Tensor:
        power = power_of_two(self.scale.detach())
        return power * (self.scale / self.scale.detach()) if self.scale.requires_grad else power

    @torch.no_grad()
    def facts(self, values: Tensor) -> dict[str, float]:
        """Entropy of the signs of ``values`` as they are and balanced, mean over rows, in bits; the share of them that
        can still be learned: whose slope is a tenth of the largest, or more; and what tells the slope."""
        rows = values.reshape(self.scale.numel(), -1)
        levelled = standardised(balanced(rows))
        slope = self.slope(levelled)
        slopes = slope(levelled)
        able = float((slopes >= WORTH * slopes.max()).double().mean())
        return {"unbalanced": entropy(rows), "balanced": entropy(levelled), "updatable": able} | slope.facts


def signs(x: Tensor) -> Tensor:
    """-1 below 0, and 1 from there on: two values, where ``torch.sign`` has three."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def balanced(rows: Tensor) -> Tensor:
    """(R, N) values less the mean of their row; a single value in a row, which would be lost, stays."""
    return rows - rows.mean(1, keepdim=True) if rows.shape[1] > 1 else rows


def standardised(rows: Tensor) -> Tensor:
    """(R, N) balanced values over the standard deviation of their row."""
    variance = rows.square().sum(1, keepdim=True) / max(rows.shape[1] - 1, 1)
    return rows / variance.clamp_min(SMALLEST**2).sqrt()


def power_of_two(scale: Tensor) -> Tensor:
    """2^round(log2(scale)), at least :data:`SMALLEST`."""
    return scale.clamp_min(SMALLEST).log2().round().exp2()


def entropy(rows: Tensor) -> float:
    """-p·log2(p) - (1 - p)·log2(1 - p) with p the share of signs that are +, mean over rows; 1 bit at most."""
    p = (rows >= 0).double().mean(1)
    return -float((torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean()) / math.log(2)
