"""Greedy non-maximum suppression, whatever boxes are and however they overlap."""

from __future__ import annotations

import torch
from torch import Tensor


def suppressed(clash: Tensor) -> Tensor:
    """(B, K) bool: which boxes clash with one before them that itself stays.

    Args:
        clash: (B, K, K) bool: which pairs must not both stay, the surest first; only what is above the diagonal counts.
    """
    clash = clash.triu(1)
    gone, before = clash.new_zeros(clash.shape[:2]), None
    while before is None or not torch.equal(gone, before):  # a round settles one more box at least, most rounds many
        before, gone = gone, (clash & ~gone.unsqueeze(2)).any(1)
    return gone
