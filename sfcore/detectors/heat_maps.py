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


def spread(shape: tuple[int, ...], places: Tensor, radius: Tensor) -> Tensor:
    """(B, C, h, w) the largest of the Gaussians around some cells, each of a radius of its own; 1 at the cells.

    Args:
        shape: of the maps.
        places: (N, 4) whole numbers: image, channel, row and column of each cell.
        radius: (N,) cells, whole numbers; σ = (2·radius + 1) / 6, and beyond the radius there is nothing.
    """
    heat = torch.zeros(shape, device=radius.device)
    for (image, channel, *cell), reach in zip(places.tolist(), radius.tolist(), strict=True):
        bells, spans = [], []
        for middle, length in zip(cell, shape[2:], strict=True):
            low, high = max(middle - reach, 0), min(middle + reach + 1, length)
            away = torch.arange(low - middle, high - middle, dtype=heat.dtype, device=heat.device)
            bells.append(torch.exp(-away.square() / (2 * ((2 * reach + 1) / 6) ** 2)))
            spans.append(slice(low, high))
        part = heat[image, channel, spans[0], spans[1]]
        torch.maximum(part, bells[0][:, None] * bells[1], out=part)
    return heat


def gaussian_radius(height: Tensor, width: Tensor, overlap: float) -> Tensor:
    """How far the corners of a box may move, in its own unit, so that its IoU with what it was stays ``overlap``.

    The least of three roots: both corners outwards by r, both inwards, or one each (Law & Deng 2018, as corrected later
    and used by MMDetection).
    """
    both, area = height + width, height * width
    one = (both - (both.square() - 4 * area * (1 - overlap) / (1 + overlap)).sqrt()) / 2
    inside = (both - (both.square() - 4 * area * (1 - overlap)).sqrt()) / 4
    outside = (-both + (both.square() + 4 * area * (1 - overlap) / overlap).sqrt()) / 4
    return torch.minimum(torch.minimum(one, inside), outside)


def first_gaussian_radius(height: Tensor, width: Tensor, overlap: float) -> Tensor:
    """:func:`gaussian_radius` as CornerNet and CenterNet first published it: its roots lack their denominators.

    Of the three the one of corners that move outwards is always the least.
    """
    half = 2 * overlap * (height + width)
    return (-half + (half.square() + 16 * overlap * (1 - overlap) * height * width).sqrt()) / 2
