"""The binary quantizer: weights of one bit, after IR-Net (Qin et al. 2020) and DIR-Net (Qin et al. 2022).

A weight becomes ±2^s, one scale a channel, which integer kernels multiply by in shifting. Three things are not as
published, because there a network is trained from scratch and here one that is trained is quantized:

- Balance. Published, the mean of its channel is taken from each weight, so that both signs are as frequent. That turns
  the signs of trained weights over, and after a ReLU, where all inputs are positive, much of what a layer does hangs on
  the mean. Here it is held where it was when the weights were calibrated: the signs begin as those of the trained
  weights, and learning cannot make all of a channel's the same.
- Scale. Published, s is taken of standardised weights, for a batch norm behind each layer finds the magnitude anew.
  Here norms are folded into the weights before these are quantized, so 2^s is the power of two next to the mean
  magnitude, the best scale of XNOR-Net (Rastegari et al. 2016), mended by what comes out of the layer
  (:mod:`sfcore.quant.corrections.spread`).
- The scale is no function of the weights later on, but may be learned; it is rounded to a power of two all along.
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
    """sign(w - mean(w) + m) · 2^s for each row that has a scale: an output channel, or the whole weight.

    The gradient goes through balancing and standardising, as published; to the scale, if it is learned, as if it were
    not rounded.

    Attributes:
        centre: m, the mean of each row when it was calibrated, of the shape of the scale; 0 is the published balance.
        estimator: the name of what stands for the derivative of the sign.
        progress: the share of the iterations of learning that are over, from 0 to 1; only the derivative depends on it.
    """

    learnable = frozenset({"steps"})
    coarse = True
    centre: Tensor

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.register_buffer("centre", torch.zeros_like(self.scale))
        self.estimator, self.progress = USUAL, 0.0

    @property
    def limits(self) -> tuple[int, int]:
        """The two integers that there are; 0 is none."""
        return -1, 1

    @property
    def integers(self) -> Integers:
        return Integers(self.bits, *self.limits, power_of_two(self.scale.detach()), None)

    def calibrate(self, batches: Sequence[Tensor], negative: bool, search: Calibrator) -> None:
        """Take the means, and the powers of two next to the mean magnitudes; there is no range to search for."""
        rows = torch.cat(list(batches), 1)
        self.centre.copy_(rows.mean(1).reshape(self.centre.shape))
        self.set_range(power_of_two(rows.abs().mean(1)), signed=True)

    def rescaled(self, factors: Tensor) -> Tensor:
        old = self.integers.scale
        new = power_of_two(old * factors.reshape(old.shape))
        self.set_range(new, signed=True)
        return (new / old).flatten()

    def anneal(self, progress: float, estimator: str) -> None:
        self.progress, self.estimator = progress, estimator

    def rounded(self, x: Tensor) -> Tensor:
        rows = self.standardised(x)
        learned = rows.requires_grad and torch.is_grad_enabled()
        found = _Sign.apply(rows, self.slope(rows)) if learned else signs(rows)
        return found.reshape(x.shape) * self._scale()

    def standardised(self, x: Tensor) -> Tensor:
        """(R, N) weights less what their row's mean has moved by, over the row's standard deviation. A single weight in
        a row, which would be lost, is only divided."""
        rows = x.reshape(self.scale.numel(), -1)
        count = rows.shape[1]
        if count == 1:
            return rows / rows.abs().clamp_min(SMALLEST)
        level = rows - rows.mean(1, keepdim=True)
        spread = (level.square().sum(1, keepdim=True) / (count - 1)).clamp_min(SMALLEST**2).sqrt()
        return (level + self.centre.reshape(-1, 1)) / spread

    def slope(self, rows: Tensor) -> Slope:
        """The derivative of the sign at present, for standardised values."""
        return ESTIMATORS[self.estimator](rows.detach(), self.progress)

    def _scale(self) -> Tensor:
        power = power_of_two(self.scale.detach())
        return power * (self.scale / self.scale.detach()) if self.scale.requires_grad else power

    @torch.no_grad()
    def facts(self, values: Tensor) -> dict[str, float]:
        """What the signs of ``values`` tell, mean entropy of the rows in bits, as they are and with the published
        balance; the share of them that can still be learned: whose slope is a tenth of the largest, or more; and what
        tells the slope."""
        rows, x = values.reshape(self.scale.numel(), -1), self.standardised(values)
        slope = self.slope(x)
        slopes = slope(x)
        able = float((slopes >= WORTH * slopes.max()).double().mean())
        level = rows - rows.mean(1, keepdim=True)
        return {"entropy": entropy(x), "balanced": entropy(level), "updatable": able} | slope.facts


def signs(x: Tensor) -> Tensor:
    """-1 below 0, and 1 from there on: two values, where ``torch.sign`` has three."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def power_of_two(scale: Tensor) -> Tensor:
    """2^round(log2(scale)), at least :data:`SMALLEST`."""
    return scale.clamp_min(SMALLEST).log2().round().exp2()


def entropy(rows: Tensor) -> float:
    """-p·log2(p) - (1 - p)·log2(1 - p) with p the share of signs that are +, mean over rows; 1 bit at most."""
    p = (rows >= 0).double().mean(1)
    return -float((torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).mean()) / math.log(2)
