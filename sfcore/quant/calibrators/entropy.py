"""Entropy: the range that keeps most of the information (Migacz 2017, 8-bit Inference with TensorRT)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range
from sfcore.quant.calibrators.minmax import minmax

BINS = 2048  # of the histogram
STRIDE = 16  # bins between two ranges that are tried
TRACE = 1e-4  # what an empty bin counts, of a value


@CALIBRATORS.register("entropy")
def entropy(batches: Sequence[Tensor], grid: Grid) -> Range:
    """argmin over ranges of KL(P ‖ Q), from as many bins of a histogram as there are integers up to all of it.

    P is the histogram of the values in the range; what lies outside counts in its outermost bins. Q is the same
    without what lies outside, neighbouring bins merged into one for each integer and spread evenly again over those
    that are not empty in P. Symmetric: the histogram of |x|; affine: of x. Where there are more integers than bins,
    nothing is clipped. Two things differ from the source. Zeros do not count, for every range has an integer for
    them. And Q has a trace of a value in bins that are empty but for clipped values, as in MXNet: a few values far
    from all others could else not be clipped at all.
    """
    return least_divergence(batches, grid, zeros=False)


def least_divergence(batches: Sequence[Tensor], grid: Grid, zeros: bool) -> Range:
    """The range of :func:`entropy`.

    Args:
        zeros: whether zeros count.
    """
    whole, levels = minmax(batches, grid), grid.high + 1
    counts = _histogram(torch.cat(list(batches), 1), whole, grid, zeros)
    best = torch.ones_like(whole.scale)
    least = torch.full_like(best, torch.inf)
    for bins in range(BINS, levels - 1, -STRIDE):
        start = (whole.zero / grid.high * (BINS - bins)).round().long()  # the share of the range below 0 stays
        divergence = _divergence(counts, start, bins, levels)
        better = divergence < least
        least, best = torch.where(better, divergence, least), best.masked_fill(better, bins / BINS)
    return whole.shrunk(best)


def _histogram(values: Tensor, whole: Range, grid: Grid, zeros: bool) -> Tensor:
    """(C, BINS) how many values of each row lie in each bin of its whole range."""
    counted = torch.ones_like(values) if zeros else (values != 0).to(values.dtype)
    distance = values if grid.affine else values.abs()
    place = distance / whole.scale.unsqueeze(1) + whole.zero.unsqueeze(1)
    bins = (place * (BINS / grid.high)).long().clamp_(0, BINS - 1)
    counts = torch.zeros(len(values), BINS, dtype=values.dtype, device=values.device)
    return counts.scatter_add_(1, bins, counted)


def _divergence(counts: Tensor, start: Tensor, bins: int, levels: int) -> Tensor:
    """(C,) KL(P ‖ Q) of the range of ``bins`` bins from ``start`` (C,) on."""
    place = torch.arange(bins, device=counts.device)
    inside = counts.gather(1, start.unsqueeze(1) + place)
    p = inside.clone()
    below = torch.arange(BINS, device=counts.device) < start.unsqueeze(1)
    p[:, 0] += (counts * below).sum(1)
    p[:, -1] += counts.sum(1) - p.sum(1)
    level, filled = place * levels // bins, (p > 0).to(p.dtype)
    merged, members = (counts.new_zeros(len(counts), levels).index_add_(1, level, x) for x in (inside, filled))
    q = (merged / members.clamp_min(1))[:, level].clamp_min(TRACE) * filled
    p, q = (x / x.sum(1, keepdim=True) for x in (p, q))
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(1)
