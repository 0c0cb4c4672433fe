"""IoU of upright boxes."""

from __future__ import annotations

import torch
from torch import Tensor


def area(boxes: Tensor) -> Tensor:
    """(...,) of boxes (..., 4) left, top, right, bottom; 0 where left or top lies beyond right or bottom."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of every box of ``a`` with every box of ``b``, batch by batch.

    Args:
        a, b: (B, La, 4) and (B, Lb, 4) left, top, right, bottom; either may be a batch of one.

    Returns:
        (B, La, Lb) in [0, 1], 0 for boxes without area; NaN where a box is.

    Example:
        >>> one, others = torch.tensor([[[0.0, 0, 4, 4]]]), torch.tensor([[[2.0, 0, 6, 4], [5.0, 5, 6, 6]]])
        >>> iou(one, others)
        tensor([[[0.3333, 0.0000]]])
    """
    a, b = a.unsqueeze(2), b.unsqueeze(1)
    shared = torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1)
    common = area(shared)
    return common / (area(a) + area(b) - common).clamp_min(1e-9)
