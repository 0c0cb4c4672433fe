"""Max-min, then a grid search around it: the calibration of LiDAR-PTQ (Zhou et al. 2024, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.omse import least_error

# From half of the max-min range to a fifth beyond it: the paper does not tell its ends and its number, so these are
# ours. Half a range is the least: no value that carries geometry is clipped to less.
LOWEST, HIGHEST, CANDIDATES = 0.5, 1.2, 100


@CALIBRATORS.register("maxmin-grid")
def maxmin_grid(batches: Sequence[Tensor], grid: Grid) -> Range:
    """argmin over steps evenly spaced around the max-min one of ‖Q(x) - x‖².

    Unlike "omse", whose search goes down to a twentieth, it stays near the whole range.
    """
    return least_error(batches, grid, LOWEST, HIGHEST, CANDIDATES)
