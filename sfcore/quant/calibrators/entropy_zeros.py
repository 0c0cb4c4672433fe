"""Entropy with zeros counted: the control that collapses on sparse maps (Zhou et al. 2024, LiDAR-PTQ, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.entropy import least_divergence


@CALIBRATORS.register("entropy-zeros")
def entropy_zeros(batches: Sequence[Tensor], grid: Grid) -> Range:
    """As "entropy", but zeros count like all values, as in the histograms of Migacz 2017.

    Where most of a map is empty, the bin of zeros outweighs all others, and what is rare is clipped away: on scattered
    points an eighth of the range is left, the smallest that is tried. There to show that; never the best choice.
    """
    return least_divergence(batches, grid, zeros=True)
