"""ACIQ: analytical clipping for integer quantization (Banner et al. 2019, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from scipy.optimize import brentq
from scipy.special import lambertw
from torch import Tensor

from sfcore.quant.calibrators import CALIBRATORS, Grid, Range, spanning

# A density of mean deviation b and standard deviation σ is likelier Laplace's than Gauss' where b/σ is below this:
# the greatest likelihoods per value, 1/(2 e b) and 1/(√(2π e) σ), are equal there.
LAPLACE_BELOW = math.sqrt(math.pi / (2 * math.e))


@CALIBRATORS.register("aciq")
def aciq(batches: Sequence[Tensor], grid: Grid) -> Range:
    """Clips at the distance α from the centre that has the least expected squared error.

    Each row is taken as Laplace's or Gauss' density, whichever its values are likelier of. The centre is 0, or the
    mean where the grid is affine. A row without negative values is taken as one half of such a density around 0, and
    its zeros as the other half, which a ReLU cut off (the paper's fused ReLU). No range exceeds that of the values.
    """
    values = torch.cat(list(batches), 1).double()
    half = (values >= 0).all(1)
    centre = torch.where(half, 0.0, values.mean(1)) if grid.affine else torch.zeros_like(values[:, 0])
    counted = (values > 0) | ~half.unsqueeze(1)
    count = counted.sum(1).clamp_min(1)
    distance = (values - centre.unsqueeze(1)).abs_().mul_(counted)
    b, sigma = distance.sum(1) / count, (distance.square().sum(1) / count).sqrt()
    whole = torch.where(half, 1.0, 0.5) * grid.high if grid.affine else torch.full_like(b, grid.high)
    factors = [[_laplace(steps), _gauss(steps)] for steps in whole.tolist()]
    laplace, gauss = torch.tensor(factors, dtype=b.dtype, device=b.device).unbind(1)
    alpha = torch.where(b < LAPLACE_BELOW * sigma, laplace * b, gauss * sigma)
    least, most = torch.maximum(centre - alpha, values.amin(1)), torch.minimum(centre + alpha, values.amax(1))
    found = spanning(least, most, grid)
    return Range(found.scale.to(batches[0].dtype), found.zero.to(batches[0].dtype))


@cache
def _laplace(steps: float) -> float:
    """α/b of the least 2 b² exp(-α/b) + Δ²/12 with Δ = α / steps, the step between neighbours.

    Its derivative vanishes where α/b · exp(α/b) = 12 steps². The paper, which has 2^M steps from -α to α, reads
    2 b² exp(-α/b) + α² / (3 · 2^(2M)) (eq. 5).
    """
    return float(lambertw(12 * steps**2).real)


@cache
def _gauss(steps: float) -> float:
    """t = α/σ of the least σ² ((1 + t²) erfc(t/√2) - t √(2/π) exp(-t²/2)) + Δ²/12 with Δ = α / steps."""

    def slope(t: float) -> float:
        return 2 * t * math.erfc(t / math.sqrt(2)) - math.sqrt(8 / math.pi) * math.exp(-t * t / 2) + t / (6 * steps**2)

    return float(brentq(slope, 1e-9, 40.0))
