"""Min-max: nothing is clipped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range, spanning


@CALIBRATORS.register("minmax")
def minmax(batches: Sequence[Tensor], grid: Grid) -> Range:
    """The step at which the largest value is just representable: max|x| / high, or (max x - min x) / (high - low)."""
    least = torch.stack([values.amin(1) for values in batches]).amin(0)
    most = torch.stack([values.amax(1) for values in batches]).amax(0)
    return spanning(least, most, grid)
