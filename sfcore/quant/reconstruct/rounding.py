"""Learned rounding: whether each weight goes up or down to the next step (Nagel et al. 2020, AdaRound)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer, full_precision

ZETA, GAMMA = 1.1, -0.1  # the sigmoid is stretched so that it reaches 0 and 1, as published


class Rounding:
    """The rounding of one layer's weights on the fixed grid of its quantizer.

    Attributes:
        alpha: one value a weight; h(α) says how much of a step it goes up.
    """

    def __init__(self, layer: QuantLayer) -> None:
        self.layer = layer
        steps = layer.weight.detach() / layer.weight_quantizer.scale
        self.base = steps.floor()
        rest = (steps - self.base).clamp(0, 1)
        self.alpha = nn.Parameter(-torch.log((ZETA - GAMMA) / (rest - GAMMA) - 1))  # h(α) = rest

    def share(self) -> Tensor:
        """h(α) = clamp(σ(α)(ζ - γ) + γ, 0, 1): the rectified sigmoid (eq. 23)."""
        return (self.alpha.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)

    def soft(self) -> Tensor:
        """The weights while the rounding is learned: s · clamp(⌊w/s⌋ + h(α), low, high) (eq. 22)."""
        return self._on_grid(self.share())

    @torch.no_grad()
    def harden(self) -> None:
        """Put the rounded weights into the layer, which is then an ordinary quantized one."""
        self.layer.weight.copy_(self._on_grid((self.alpha >= 0).to(self.base.dtype)))

    def penalty(self, exponent: float) -> Tensor:
        """Σ 1 - |2h(α) - 1|^β, which is 0 where every h is 0 or 1 (eq. 24)."""
        return (1 - (2 * self.share() - 1).abs().pow(exponent)).sum()

    def _on_grid(self, up: Tensor) -> Tensor:
        quantizer = self.layer.weight_quantizer
        low, high = quantizer.limits
        return (self.base + up).clamp(low, high) * quantizer.scale.detach()


@contextmanager
def soft_rounding(roundings: Iterable[Rounding]) -> Iterator[None]:
    """Within the block the layers compute with their softly rounded weights, which are made once."""
    weights = {each.layer.weight_quantizer: each.soft() for each in roundings}

    def replace(quantizer: Quantizer, _: Any) -> tuple[Tensor]:
        return (weights[quantizer],)

    with ExitStack() as stack:
        for quantizer in weights:
            stack.enter_context(full_precision(quantizer))
        stack.enter_context(hooks(weights, before=replace))
        yield
