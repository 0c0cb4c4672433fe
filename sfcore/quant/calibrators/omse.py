"""OMSE: the range with the least mean squared error (Choukroun et al. 2019, eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.minmax import minmax

CANDIDATES = 80  # ranges tried, from a twentieth of the min-max one up to it and a little beyond


@CALIBRATORS.register("omse")
def omse(batches: Sequence[Tensor], grid: Grid) -> Range:
    """argmin over shares of the min-max range of mean (Q(x) - x)², over the values of all batches.

    An affine range is shrunk at both ends alike, as in BRECQ (Li et al. 2021); its zero point stays.
    """
    values = torch.cat(list(batches), 1)
    whole = minmax(batches, grid)
    best = torch.ones_like(whole.scale)
    least = torch.full_like(best, torch.inf)
    for share in torch.linspace(0.05, 1.1, CANDIDATES).tolist():
        error = (whole.shrunk(share).rounded(values, grid) - values).square_().mean(1)
        better = error < least
        least, best = torch.where(better, error, least), best.masked_fill(better, share)
    return whole.shrunk(best)
