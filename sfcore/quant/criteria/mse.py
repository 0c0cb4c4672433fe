"""Harm is the squared error of the head outputs, as AIMET's automatic mixed precision measures it."""

from __future__ import annotations

from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.quant.criteria.base import CRITERIA, OutputCriterion


@CRITERIA.register("mse")
class MeanSquaredErrorCriterion(OutputCriterion):
    """The sum over heads of the mean squared error, each relative to the head's mean square."""

    title = "Mean squared error of the heads"
    source = "AIMET, automatic mixed precision (SQNR of the outputs)"

    def harm(self, outputs: Outputs) -> float:
        errors = [(outputs[name] - full).square().mean() / scale(full) for name, full in self.reference.items()]
        return float(sum(errors))


def scale(head: Tensor) -> float:
    """The mean square of a head's outputs, never 0."""
    return max(float(head.square().mean()), 1e-20)
