"""What every criterion is, and the registry of them. One more is one more file that registers a class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.registries import Registry


class Criterion(ABC):
    """How the harm of one quantizer is told, all others at full precision.

    Attributes:
        title: what it is called in tables and choices.
        source: who allots bits by it.
        power: what harms are raised to before those of several quantizers are added: 2 where they are sizes of errors,
            which add up as variances do where they are independent; 1 where they are squares already.
    """

    title: ClassVar[str]
    source: ClassVar[str]
    power: ClassVar[int] = 1


class OutputCriterion(Criterion):
    """Told from what the network puts out while the quantizer is on.

    Args:
        detector: in full precision.
        reference: its outputs on the frames.
    """

    def __init__(self, detector: Detector, reference: Outputs) -> None:
        self.detector, self.reference = detector, reference

    @abstractmethod
    def harm(self, outputs: Outputs) -> float:
        """Of outputs on the same frames; 0 where they are the reference's."""


class GradientCriterion(Criterion):
    """Told from the error that the quantizer makes and the gradient there: no pass of the network for each quantizer.

    The loss is the squared error of the outputs against the full-precision ones, each head's relative to its mean
    square; at full precision it has no gradient, and the Hessian JᵀJ of Gauss and Newton. Its diagonal is the mean of
    (Jᵀv)² over random signs v (Hutchinson), and Jᵀv is what one backward pass gives.
    """

    @staticmethod
    @abstractmethod
    def harm_of(gradient: Tensor, error: Tensor) -> float:
        """Of one draw.

        Args:
            gradient: Jᵀv at the values that are quantized.
            error: what quantization adds to them, of the same shape.
        """


CRITERIA: Registry[type[Criterion]] = Registry("criterion", "sfcore.quant.criteria")
