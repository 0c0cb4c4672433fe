"""Heat maps: the Gaussians that they are taught, their loss, and where they peak."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def heat_map(marks: Tensor, radius: int) -> Tensor:
    """The largest of the Gaussians around the marked cells (B, C, H, W), σ = (2·radius + 1) / 6, 1 at the marks."""
    side = torch.arange(-radius, radius + 1, dtype=marks.dtype, device=marks.device)
    bell = torch.exp(-side.square() / (2 * ((2 * radius + 1) / 6) ** 2))

    def spread(x: Tensor, dim: int) -> Tensor:
        padding = (radius, radius, 0, 0) if dim == 3 else (0, 0, radius, radius)
        padded = functional.pad(x, padding)
        shifted = [padded.narrow(dim, i, x.shape[dim]) * bell[i] for i in range(2 * radius + 1)]
        return torch.stack(shifted).amax(0)

    return spread(spread(marks, 2), 3)  # the largest of products of non-negative factors separates


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss of CornerNet (Law & Deng 2018, eq. 1; α = 2, β = 4), by the number of marked cells."""
    marked = target == 1
    score = logits.sigmoid()
    hit = functional.logsigmoid(logits) * (1 - score).square()
    miss = functional.logsigmoid(-logits) * score.square() * (1 - target).pow(4)
    return -torch.where(marked, hit, miss).sum() / marked.sum().clamp_min(1)


def hottest_around(heat: Tensor) -> Tensor:
    """The largest of the nine values around each cell of a positive (…, h, w) map; faster than pooling."""
    padded = functional.pad(heat, (1, 1, 1, 1))
    beside = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 2:]), padded[..., 1:-1])
    return torch.maximum(torch.maximum(beside[..., :-2, :], beside[..., 2:, :]), beside[..., 1:-1, :])


def peaks(heat: Tensor, least: float) -> Tensor:
    """(…, h, w) bool: cells of a positive map above ``least`` that none of their nine neighbours exceeds."""
    return (heat == hottest_around(heat)) & (heat > least)


def row_peaks(heat: Tensor, least: float) -> Tensor:
    """(…, h, w) bool: cells above ``least`` that neither neighbour in their row exceeds."""
    peak = heat > least
    peak[..., 1:] &= heat[..., 1:] >= heat[..., :-1]
    peak[..., :-1] &= heat[..., :-1] >= heat[..., 1:]
    return peak
