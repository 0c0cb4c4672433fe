"""Min-max: the step size at which the largest value is just representable."""

from __future__ import annotations

from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS

SMALLEST = 1e-12  # the step size of a tensor of zeros


@CALIBRATORS.register("minmax")
def minmax(values: Tensor, low: int, high: int) -> Tensor:
    """max|x| / high, per row of (C, N)."""
    return (values.abs().amax(1) / high).clamp_min(SMALLEST)
