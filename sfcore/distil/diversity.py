"""How different samples are in a network's eyes: distilled ones tend to be alike, which narrows what they calibrate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.distil.statistics import Observed

BATCH = 16  # samples that the network sees at once


@dataclass(frozen=True)
class Diversity:
    """Of some samples, as medians over all channels of all norms; σ_i is the deviation that a norm remembers.

    Attributes:
        spread: deviation over samples of their means, in σ_i; that of real frames is the measure.
        offset: |mean over samples of their means − μ_i| / σ_i: how far they are from the training images as a whole.
        correlation: mean over pairs of the cosine of their normalised pixels; 0 for unlike ones, 1 for copies.
    """

    spread: float
    offset: float
    correlation: float


@torch.no_grad()
def diversity(observed: Observed, samples: Tensor) -> Diversity:
    """The diversity of (N, ...) stacked samples of any origin; spread and correlation of one sample are NaN."""
    parts = [observed(part.to(observed.model.device).float()) for part in samples.split(BATCH)]
    spreads, offsets = [], []
    for norm in zip(*parts, strict=True):
        means, first = torch.cat([part.mean for part in norm]), norm[0]
        spreads.append(means.std(0) / first.norm_std)
        offsets.append((means.mean(0) - first.norm_mean).abs() / first.norm_std)
    pixels = observed.model.preprocessing.normalize(samples).flatten(1)
    return Diversity(float(torch.cat(spreads).median()), float(torch.cat(offsets).median()), _alike(pixels))


def _alike(rows: Tensor) -> float:
    """Mean cosine of all pairs of rows."""
    count = len(rows)
    cosines = torch.nn.functional.normalize(rows, dim=1)
    total = (cosines.sum(0).square().sum() - cosines.square().sum()).item()
    return total / (count * (count - 1)) if count > 1 else float("nan")
