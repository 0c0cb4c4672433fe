"""OMSE: the range with the least mean squared error (Choukroun et al. 2019, eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.minmax import minmax

LOWEST, HIGHEST, CANDIDATES = 0.05, 1.1, 80  # shares of the min-max range that are tried


@CALIBRATORS.register("omse")
def omse(batches: Sequence[Tensor], grid: Grid) -> Range:
    """argmin over shares of the min-max range of mean (Q(x) - x)², over the values of all batches.

    An affine range is shrunk at both ends alike, as in BRECQ (Li et al. 2021); its zero point stays.
    """
    return least_error(batches, grid, LOWEST, HIGHEST, CANDIDATES)


def least_error(batches: Sequence[Tensor], grid: Grid, lowest: float, highest: float, candidates: int) -> Range:
    """The range with the least mean squared error among shares of the min-max range, evenly spaced.

    Args:
        lowest, highest: the first and the last share.
        candidates: how many there are.
    """
    values = torch.cat(list(batches), 1)
    whole = minmax(batches, grid)
    best = torch.ones_like(whole.scale)
    least = torch.full_like(best, torch.inf)
    room = torch.empty_like(values)
    for share in torch.linspace(lowest, highest, candidates).tolist():
        error = whole.shrunk(share).rounded(values, grid, room).sub_(values).square_().mean(1)
        better = error < least
        least, best = torch.where(better, error, least), best.masked_fill(better, share)
    return whole.shrunk(best)
