"""IoU of lanes drawn with a width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.tasks.lanes.types import Lanes

LANE_WIDTH = 30 / 1640  # a lane is drawn 30 px wide at 1640 px image width (the CULane convention)


def lane_width(size: tuple[int, int]) -> float:
    """Drawing width of a lane in pixels of an image of ``size`` (height, width)."""
    return LANE_WIDTH * size[1]


def half_widths(lanes: Lanes, width: float) -> Tensor:
    """(B, L, R) half the horizontal extent of each lane's stroke at each row, in pixels.

    A stroke ``width`` px wide across its own direction is ``width · sqrt(1 + (dx/dy)²)`` px wide along a row.
    """
    x = lanes.x
    if x.shape[-1] < 2:
        return torch.full_like(x, 0.5 * width)
    # The slope at a row is the mean of those to the rows above and below, or the one that exists.
    step = (x[..., 1:] - x[..., :-1]).div_(lanes.row_step)
    known = ~step.isnan()
    step.nan_to_num_(0.0)
    slope, count = functional.pad(step, (1, 0)), functional.pad(known.to(x.dtype), (1, 0))
    slope[..., :-1] += step
    count[..., :-1] += known
    return slope.div_(count.clamp_min_(1)).square_().add_(1).sqrt_().mul_(0.5 * width)


def iou(a: Lanes, b: Lanes, width: float | None = None) -> Tensor:
    """IoU of every lane of ``a`` with every lane of ``b``, image by image.

    Each lane is a stroke of ``width`` pixels; areas are summed over the shared rows, where a stroke is an
    interval. ``a`` may hold one image and ``b`` many (or the reverse): it is then compared with all.

    Args:
        width: in pixels of the lanes' image; 30 px at 1640 px image width when not given.

    Returns:
        (B, La, Lb) in [0, 1]; 0 where either slot is empty.
    """
    width = lane_width(a.size) if width is None else width
    left_a, right_a, area_a = _strokes(a, width)
    left_b, right_b, area_b = _strokes(b, width)
    overlap = a.x.new_zeros(max(len(a), len(b)), a.x.shape[1], b.x.shape[1])
    # One reference lane at a time keeps temporaries in the processor's cache; empty slots cost nothing.
    for lane in (area_a > 0).any(0).nonzero().flatten().tolist():
        rows = torch.minimum(right_a[:, lane, None], right_b)
        rows -= torch.maximum(left_a[:, lane, None], left_b)
        overlap[:, lane] = rows.clamp_min_(0).sum(-1)
    union = area_a.unsqueeze(2) + area_b.unsqueeze(1) - overlap
    return overlap / union.clamp_min(1e-9)


def _strokes(lanes: Lanes, width: float) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L, R) left and right end of each lane's stroke at each row, and its (B, L) area in px · rows.

    Where a lane is absent the ends are +inf and -inf: an interval that overlaps nothing.
    """
    half, absent = half_widths(lanes, width), lanes.x.isnan()
    left = (lanes.x - half).masked_fill_(absent, torch.inf)
    right = (lanes.x + half).masked_fill_(absent, -torch.inf)
    return left, right, half.masked_fill(absent, 0.0).sum(-1) * 2
