"""LaneIoU of CLRerNet: an IoU of lanes, row by row, whose width follows their angle and which minds their length.

Honda and Uchida, *CLRerNet: Improving Confidence of Lane Detection with LaneIoU* (WACV 2024). A lane of width w across
its own direction is ``2e = w · sqrt(1 + (dx/dy)²)`` wide along a row. Of two lanes a and b, at row i,

    I_i = min(a + e_a, b + e_b) - max(a - e_a, b - e_b),   U_i = max(a + e_a, b + e_b) - min(a - e_a, b - e_b)

where both are present, and ``I_i = 0``, ``U_i = 2e`` of the one that is, where the other is absent. LaneIoU is
``Σ I_i / Σ U_i``. Between lanes that are apart I_i is negative, so that nearer ones still have the larger LaneIoU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes import Lanes, half_widths, pair

WIDTH = 15 / 800  # of a lane, in image widths, as published


def lane_iou(a: Lanes, b: Lanes, width: float | None = None) -> Tensor:
    """LaneIoU of every lane of ``a`` with every lane of ``b``, image by image; they share their rows.

    Args:
        width: in pixels of the lanes' image; 15/800 of the image's width when not given.

    Returns:
        (B, La, Lb) in (-1, 1]; 0 where either slot is empty.
    """
    width = WIDTH * a.size[1] if width is None else width
    half_a, half_b = half_widths(a, width).unsqueeze(2), half_widths(b, width).unsqueeze(1)
    x_a, x_b = a.x.unsqueeze(2), b.x.unsqueeze(1)
    inner = torch.minimum(x_a + half_a, x_b + half_b) - torch.maximum(x_a - half_a, x_b - half_b)
    outer = torch.maximum(x_a + half_a, x_b + half_b) - torch.minimum(x_a - half_a, x_b - half_b)
    in_a, in_b = a.valid.unsqueeze(2), b.valid.unsqueeze(1)
    alone = 2 * (half_a * (in_a & ~in_b) + half_b * (in_b & ~in_a))
    union = torch.where(in_a & in_b, outer, alone).sum(-1)
    ratio = torch.where(in_a & in_b, inner, 0.0).sum(-1) / union.clamp_min(1e-9)
    return ratio * (a.present.unsqueeze(2) & b.present.unsqueeze(1))


def lane_iou_counts(reference: Lanes, other: Lanes, min_iou: float = 0.5) -> Counts:
    """Lanes found, invented and missed when lanes pair by the largest total LaneIoU, each of at least ``min_iou``.

    Args:
        reference, other: B lane sets each, on the same rows and image size.
    """
    found = int((pair(lane_iou(reference, other), min_iou) >= 0).sum())
    return Counts(found, int(other.present.sum()) - found, int(reference.present.sum()) - found)
