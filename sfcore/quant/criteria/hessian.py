"""Harm is the mean curvature times the squared error, as HAWQ-V2 allots bits."""

from __future__ import annotations

from torch import Tensor

from sfcore.quant.criteria.base import CRITERIA, GradientCriterion


@CRITERIA.register("hessian")
class HessianCriterion(GradientCriterion):
    """tr(H)/n · ‖Q(x) - x‖² of the n values that are quantized (Dong et al. 2020, HAWQ-V2, equation 8)."""

    title = "Trace of the Hessian"
    source = "HAWQ-V2 (Dong et al. 2020)"

    @staticmethod
    def harm_of(gradient: Tensor, error: Tensor) -> float:
        return float(gradient.square().mean() * error.square().sum())
