"""Whether two computations give the same but for rounding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TOLERANCE = 1e-4  # of the largest value: float32 rounding of one layer stays far below it


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest absolute difference as a share of the largest expected value; infinite where shapes differ.

    Values that are not finite count as alike where they are the same.
    """
    if found.shape != expected.shape:
        return float("inf")
    if not expected.is_floating_point():
        found, expected = found.double(), expected.double()
    alike = (found == expected) | (found.isnan() & expected.isnan())
    apart = (found - expected).abs().masked_fill(alike, 0.0)
    if not apart.numel():
        return 0.0
    scale = expected.abs().masked_fill(~expected.isfinite(), 0.0).max()
    share = apart.max() / scale.clamp_min(torch.finfo(expected.dtype).tiny)
    return float(share.nan_to_num(float("inf")))


def same(found: Tensor, expected: Tensor) -> bool:
    """Whether two floating-point tensors are equal but for rounding."""
    return difference(found, expected) <= TOLERANCE


def all_same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    """Whether two lists of tensors are, pair by pair."""
    return len(found) == len(expected) and all(map(same, found, expected))
