"""How ranges are found: one file each. A calibrator maps values to a step size and a zero point per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sfcore.registries import Registry

SMALLEST = 1e-12  # the step size of a tensor of zeros


@dataclass(frozen=True)
class Grid:
    """The integers of a quantizer.

    Attributes:
        low, high: the smallest and the largest; ``low`` is 0 where no value is negative, and where affine.
        affine: whether an integer other than 0 may stand for 0.
    """

    low: int
    high: int
    affine: bool = False


@dataclass(frozen=True)
class Range:
    """What a calibrator finds, per row of its values.

    Attributes:
        scale: (C,) step sizes, positive.
        zero: (C,) the integers that stand for 0, whole numbers; 0 on a symmetric grid.
    """

    scale: Tensor
    zero: Tensor

    def shrunk(self, share: float | Tensor) -> Range:
        """Both ends moved towards 0, to a share of what they were."""
        return Range(self.scale * share, self.zero)

    def rounded(self, values: Tensor, grid: Grid, room: Tensor | None = None) -> Tensor:
        """(C, N) values as the quantizer gives them back.

        Args:
            room: a tensor like the values, which is overwritten and returned; a new one where there is none.
        """
        scale, zero = self.scale.unsqueeze(1), self.zero.unsqueeze(1)
        steps = torch.div(values, scale, out=room).round_()
        if not grid.affine:
            return steps.clamp_(grid.low, grid.high).mul_(scale)
        return steps.add_(zero).clamp_(grid.low, grid.high).sub_(zero).mul_(scale)


class Calibrator(Protocol):
    """Finds the range of a quantizer.

    Args:
        batches: the values, each (C, N) with the same C: a row gets a range of its own (one row when calibrated per
            tensor). All values are finite.
        grid: the integers there are.
    """

    def __call__(self, batches: Sequence[Tensor], grid: Grid) -> Range: ...


def spanning(least: Tensor, most: Tensor, grid: Grid) -> Range:
    """The range of smallest steps that reaches from ``least`` to ``most`` (each (C,)) and has 0 among its values."""
    least, most = least.clamp_max(0), most.clamp_min(0)
    if not grid.affine:
        scale = (torch.maximum(-least, most) / grid.high).clamp_min(SMALLEST)
        return Range(scale, torch.zeros_like(scale))
    scale = (most / (grid.high - grid.low) - least / (grid.high - grid.low)).clamp_min(SMALLEST)
    return Range(scale, (grid.low - least / scale).round())


CALIBRATORS: Registry[Calibrator] = Registry("calibrator", __name__)
