"""Moving-average OMSE: that of each batch, averaged; Selective Focus has it for activations (Fan et al. 2024, C.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.omse import omse

MOMENTUM = 0.9
TOGETHER = 2**16  # values that are searched at once: what a core's cache has room for


@CALIBRATORS.register("moving-average-omse")
def moving_average_omse(batches: Sequence[Tensor], grid: Grid) -> Range:
    """The exponential moving average, batch after batch, of each batch's OMSE range: a ← 0.9 a + 0.1 new.

    What is averaged is the step size and the lower end -z · s, from which the zero point is rounded at last.
    """
    first, *others = _of_each(batches, grid)
    scale, below = first.scale, first.zero * first.scale
    for found in others:
        scale = MOMENTUM * scale + (1 - MOMENTUM) * found.scale
        below = MOMENTUM * below + (1 - MOMENTUM) * found.zero * found.scale
    return Range(scale, (below / scale).round())


def _of_each(batches: Sequence[Tensor], grid: Grid) -> list[Range]:
    """The OMSE range of each batch; rows do not know of each other, so neighbours of the same form are one search."""
    found: list[Range] = []
    for form, run in groupby(batches, lambda values: values.shape):
        same = list(run)
        count = max(1, TOGETHER // form.numel())
        for start in range(0, len(same), count):
            part = same[start : start + count]
            ranges = omse([torch.cat(part)], grid)
            pairs = zip(ranges.scale.split(form[0]), ranges.zero.split(form[0]), strict=True)
            found += [Range(scale, zero) for scale, zero in pairs]
    return found
