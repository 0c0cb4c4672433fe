"""Non-maximum suppression of upright boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from sfcore.tasks.boxes2d.overlap import iou


def suppressed(box: Tensor, limit: float) -> Tensor:
    """(B, K) bool: which boxes overlap one before them, that itself stays, by ``limit`` or more.

    Args:
        box: (B, K, 4) left, top, right, bottom, the surest first; an empty slot is NaN, and suppresses nothing.
    """
    clash = (iou(box, box) >= limit).triu(1)
    gone, before = torch.zeros_like(clash[:, 0]), None
    while before is None or not torch.equal(gone, before):  # a round settles one more box at least, most rounds many
        before, gone = gone, (clash & ~gone.unsqueeze(2)).any(1)
    return gone
