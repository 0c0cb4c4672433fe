"""The estimator of IR-Net and DIR-Net: from the identity, which moves every weight, to the sign, which is exact.

Its schedule and its constants are those of IR-Net (Qin et al. 2020; its code's, for weights of one bit and activations
in full precision). DIR-Net (Qin et al. 2022) says that the estimator follows the distribution of the values; how could
not be read, so the bound here, one for each layer, is this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sfcore.quant.estimators import ESTIMATORS, WORTH

FLATTEST, STEEPEST = 0.1, 10.0  # T_min and T_max as published
SHARE = 0.1  # of a layer's values that stay worth it
EDGE = math.atanh(math.sqrt(1 - WORTH))  # t·|x| at which the slope falls below WORTH of the largest


@dataclass(frozen=True)
class Tanh:
    """g'(x) = k·t·(1 - tanh²(t·x)) with k = max(1/t, 1): the derivative of k·tanh(t·x).

    Its largest value, at 0, is 1 while t < 1, and t from there on.

    Attributes:
        t: how steep; more than 0.

    Example:
        >>> from torch import tensor
        >>> [round(slope, 3) for slope in Tanh(2.0)(tensor([-1.0, 0.0, 1.0])).tolist()]
        [0.141, 2.0, 0.141]
    """

    t: float

    def __call__(self, x: Tensor) -> Tensor:
        return max(self.t, 1.0) * (1 - (self.t * x).tanh().square())

    @property
    def facts(self) -> dict[str, float]:
        return {"t": self.t}


def scheduled(progress: float) -> float:
    """t_i = T_min · 10^((i/N)·log10(T_max/T_min)), at i/N = ``progress`` of the iterations.

    Example:
        >>> [round(scheduled(progress), 3) for progress in (0.0, 0.5, 1.0)]
        [0.1, 1.0, 10.0]
    """
    return float(FLATTEST * (STEEPEST / FLATTEST) ** progress)


def bound(x: Tensor) -> float:
    """The largest t with which a share of at least :data:`SHARE` of the values has a slope of :data:`WORTH` of the
    largest, or more; infinite where so many are 0.

    tanh²(t·x) ≤ 1 - WORTH holds where |x| ≤ EDGE / t, so t = EDGE / q with q the SHARE-quantile of |x|.
    """
    count = max(1, math.ceil(SHARE * x.numel()))
    q = float(x.detach().abs().flatten().kthvalue(count).values)
    return EDGE / q if q > 0 else math.inf


@ESTIMATORS.register("two-stage")
def two_stage(x: Tensor, progress: float) -> Tanh:
    """The slope at this time, no steeper than the layer's values allow."""
    return Tanh(min(scheduled(progress), bound(x)))
