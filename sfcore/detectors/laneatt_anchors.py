"""LaneATT's anchors: straight lines that start at the left, bottom or right border of the image.

An anchor is a row (x, y, slope, base): where it starts, in shares of the image from its upper left corner; how far
it goes to the right for each step up; the rows that its lane has before the network adds its own (zero but in
pytorch-auto-drive).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Fan:
    """All lines from evenly spaced starts at the given angles, in degrees from the right, counter-clockwise.

    Attributes:
        left, bottom, right: angles of the lines that start at each border.
        lateral, base: number of starts at each of the sides and at the bottom.
    """

    left: tuple[float, ...]
    bottom: tuple[float, ...]
    right: tuple[float, ...]
    lateral: int
    base: int

    def anchors(self) -> Tensor:
        """(N, 4) the lines of the left border, the bottom and the right border, each start's angles together."""
        sides = torch.linspace(1, 0, self.lateral, dtype=torch.float64)
        floor = torch.linspace(1, 0, self.base, dtype=torch.float64)
        left = _lines(torch.zeros_like(sides), sides, self.left)
        bottom = _lines(floor, torch.ones_like(floor), self.bottom)
        right = _lines(torch.ones_like(sides), sides, self.right)
        return torch.cat([left, bottom, right]).float()


def _lines(x: Tensor, y: Tensor, angles: tuple[float, ...]) -> Tensor:
    slopes = torch.tensor([1 / math.tan(math.radians(angle)) for angle in angles], dtype=torch.float64)
    starts = torch.stack([x, y], 1).repeat_interleave(len(angles), 0)
    slope = slopes.repeat(len(x)).unsqueeze(1)
    return torch.cat([starts, slope, torch.zeros_like(slope)], 1)


# Section 3.1 of the paper and its code: the angles of Line-CNN (Li et al. 2019).
PUBLISHED = Fan(
    left=(72, 60, 49, 39, 30, 22),
    bottom=(165, 150, 141, 131, 120, 108, 100, 90, 80, 72, 60, 49, 39, 30, 15),
    right=(108, 120, 131, 141, 150, 158),
    lateral=72,
    base=128,
)


def spread(anchors: Tensor, count: int) -> Tensor:
    """``count`` of the anchors, evenly from the first to the last."""
    return anchors[torch.linspace(0, len(anchors) - 1, count).round().long()]


def columns(anchors: Tensor, heights: Tensor) -> Tensor:
    """(A, R) where each anchor crosses each of ``heights`` (R,), all in shares of the image."""
    x, y, slope = (value.unsqueeze(1) for value in anchors[:, :3].unbind(1))
    return x + (y - heights) * slope


def cells(anchors: Tensor, size: tuple[int, int], stride: int, height: int) -> tuple[Tensor, Tensor]:
    """The cells of a feature map that anchors pass through, one in each of its ``height`` rows.

    Published: rows lie evenly from the top of the image to its bottom; an anchor at the right border counts as
    inside.

    Returns:
        (A, height) long: columns, clamped to the map; (A, height) float: 1 inside the map, 0 outside.
    """
    heights = torch.linspace(0, 1, height, device=anchors.device)
    width = size[1] // stride
    column = (columns(anchors, heights) * (size[1] / stride)).round()
    return column.clamp(0, width - 1).long(), ((column >= 0) & (column <= width)).to(anchors.dtype)
