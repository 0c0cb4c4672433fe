"""What distilled samples are pulled to: the statistics of batch norms, within a margin, and away from one another.

ZeroQ: Cai et al., CVPR 2020. DSG (Diverse Sample Generation): Zhang, Qin et al., CVPR 2021, with the correlation
inhibition of Qin et al., arXiv 2109.00212. Symbols as there: sample j, batch norm i, its remembered mean and deviation
μ_i and σ_i, those of the sample μ̃_ij and σ̃_ij.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.distil.statistics import Statistics

ENHANCED = 2.0  # how often a sample's own layer counts, as in the paper; its code quadruples the squares instead


@dataclass(frozen=True)
class Margin:
    """How far a sample may be from what a norm remembers before it is pulled: δ_i and γ_i of slack alignment.

    Attributes:
        mean, std: in the units of the norm's input.
    """

    mean: float = 0.0
    std: float = 0.0


def margins(noise: Sequence[Statistics], epsilon: float) -> list[Margin]:
    """The margin of each norm: the ε-quantile, over channels and samples, of how far Gaussian noise is from it.

    Args:
        noise: statistics of samples of Gaussian noise.
        epsilon: 0 for the least distance, 1 for the greatest.
    """
    found = []
    for each in noise:
        apart = (each.mean - each.norm_mean).abs(), (each.std - each.norm_std).abs()
        found.append(Margin(*(float(torch.quantile(part.flatten().double(), epsilon)) for part in apart)))
    return found


def alignment(found: Sequence[Statistics], allowed: Sequence[Margin]) -> Tensor:
    """(norms, B) ‖max(|μ̃_ij − μ_i| − δ_i, 0)‖² + ‖max(|σ̃_ij − σ_i| − γ_i, 0)‖², summed over channels."""
    rows = [
        _excess(each.mean - each.norm_mean, margin.mean) + _excess(each.std - each.norm_std, margin.std)
        for each, margin in zip(found, allowed, strict=True)
    ]
    return torch.stack(rows)


def _excess(apart: Tensor, margin: float) -> Tensor:
    """(B,) of (B, C)."""
    return (apart.abs() - margin).clamp(min=0).square().sum(1)


def enhancement(norms: int, samples: Sequence[int]) -> Tensor:
    """(norms, B) weights of layer-wise enhancement: sample j's own layer, j modulo the norms, counts twice.

    Args:
        samples: the number of each sample of the batch, among all that are made.
    """
    weights = torch.ones(norms, len(samples))
    for column, sample in enumerate(samples):
        weights[sample % norms, column] = ENHANCED
    return weights


def correlation(samples: Tensor) -> Tensor:
    """Mean over j ≠ k of S_jk², S_jk = ⟨x_j, x_k⟩ / (‖x_j‖ ‖x_k‖) of (B, ...) samples: 0 where they are orthogonal.

    The published form compares eigenvalues and eigenvectors of S with those of noise; eigenvectors have no sign, so
    that half of it is chance. What it is after is this.
    """
    count = len(samples)
    if count < 2:
        return samples.new_zeros(())
    rows = torch.nn.functional.normalize(samples.flatten(1), dim=1)
    squares = (rows @ rows.T).square()
    return (squares.sum() - squares.diagonal().sum()) / (count * (count - 1))
