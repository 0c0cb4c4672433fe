"""Harm is the squared error weighted value by value with the squared gradient, as ModelOpt's AutoQuantize scores."""

from __future__ import annotations

from torch import Tensor

from sfcore.quant.criteria.base import CRITERIA, GradientCriterion


@CRITERIA.register("gradient")
class GradientSquareCriterion(GradientCriterion):
    """sum of H_ii (Q(x)_i - x_i)², the diagonal of the Hessian by Hutchinson's estimate: a Fisher-weighted error."""

    title = "Squared gradient"
    source = "TensorRT Model Optimizer, AutoQuantize; FIT (Zandonati et al. 2022)"

    @staticmethod
    def harm_of(gradient: Tensor, error: Tensor) -> float:
        return float((gradient * error).square().sum())
