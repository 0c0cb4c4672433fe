"""Percentile: the few largest values are clipped (Wu et al. 2020, Integer Quantization for Deep Learning Inference)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range, spanning

INSIDE = 0.9999  # share of the values that are not clipped, one of those that the paper compares


@CALIBRATORS.register("percentile")
def percentile(batches: Sequence[Tensor], grid: Grid) -> Range:
    """Symmetric: the least range that 99.99 % of |x| do not exceed. Affine: half of the others lie beyond each end."""
    values = torch.cat(list(batches), 1)
    if not grid.affine:
        most = _quantile(values.abs(), INSIDE)
        return spanning(-most, most, grid)
    beyond = (1 - INSIDE) / 2
    return spanning(-_quantile(-values, 1 - beyond), _quantile(values, 1 - beyond), grid)


def _quantile(values: Tensor, share: float) -> Tensor:
    """(C,) the least value of each row of (C, N) that at least ``share`` of the row do not exceed."""
    return values.kthvalue(max(1, math.ceil(share * values.shape[1])), 1).values
