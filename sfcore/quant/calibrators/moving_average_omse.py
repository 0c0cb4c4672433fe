"""Moving-average OMSE: that of each batch, averaged; Selective Focus has it for activations (Fan et al. 2024, C.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.omse import omse

MOMENTUM = 0.9


@CALIBRATORS.register("moving-average-omse")
def moving_average_omse(batches: Sequence[Tensor], grid: Grid) -> Range:
    """The exponential moving average, batch after batch, of each batch's OMSE range: a ← 0.9 a + 0.1 new.

    What is averaged is the step size and the lower end -z · s, from which the zero point is rounded at last.
    """
    first = omse(batches[:1], grid)
    scale, below = first.scale, first.zero * first.scale
    for batch in batches[1:]:
        found = omse([batch], grid)
        scale = MOMENTUM * scale + (1 - MOMENTUM) * found.scale
        below = MOMENTUM * below + (1 - MOMENTUM) * found.zero * found.scale
    return Range(scale, (below / scale).round())
