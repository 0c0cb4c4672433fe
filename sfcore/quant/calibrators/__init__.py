"""How step sizes are found: one file each. A calibrator maps a tensor to a step size per channel or tensor."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sfcore.registries import Registry


class Calibrator(Protocol):
    """Finds the step size of a symmetric quantizer.

    Args:
        values: (C, N): each row gets its own step size (a per-tensor calibration passes one row).
        low, high: the smallest and largest integer.

    Returns:
        (C,) step sizes, all positive.
    """

    def __call__(self, values: Tensor, low: int, high: int) -> Tensor: ...


CALIBRATORS: Registry[Calibrator] = Registry("calibrator", __name__)
