"""OMSE: the step size with the least mean squared error (Choukroun et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.calibrators.minmax import minmax

CANDIDATES = 80  # step sizes tried, from a twentieth of the min-max one up to it and a little beyond


@CALIBRATORS.register("omse")
def omse(values: Tensor, low: int, high: int) -> Tensor:
    """argmin over s of mean (Q_s(x) - x)², searched over shares of the min-max step, per row of (C, N)."""
    largest = minmax(values, low, high)
    best = largest.clone()
    least = torch.full_like(largest, torch.inf)
    for share in torch.linspace(0.05, 1.1, CANDIDATES).tolist():
        scale = (largest * share).unsqueeze(1)
        error = ((values / scale).round_().clamp_(low, high).mul_(scale) - values).square_().mean(1)
        better = error < least
        least, best = torch.where(better, error, least), torch.where(better, largest * share, best)
    return best
