"""Harm is the angle between head outputs, as Huawei's AMCT and others measure it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sfcore.detectors.base import Outputs
from sfcore.quant.criteria.base import CRITERIA, OutputCriterion


@CRITERIA.register("cosine")
class CosineCriterion(OutputCriterion):
    """The sum over heads of 1 - cos between the head's outputs as one vector, quantized and not."""

    title = "Cosine of the heads"
    source = "Huawei AMCT, automatic mixed precision (cosine similarity)"

    def harm(self, outputs: Outputs) -> float:
        return sum(_apart(outputs[name], full) for name, full in self.reference.items())


def _apart(one: Tensor, other: Tensor) -> float:
    """1 - cos of two tensors as vectors, in float64: float32 would not tell small angles; 0 where they are equal, even
    if they are 0."""
    if torch.equal(one, other):
        return 0.0
    return max(0.0, 1 - float(cosine_similarity(one.double().flatten(), other.double().flatten(), 0)))
