"""What tuning minimises: one file each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.registries import Registry


@dataclass(frozen=True)
class Terms:
    """The parts of an objective, each a scalar; their sum is minimised.

    Attributes:
        semantics, confidence: head name -> error of that head, averaged over the images of the batch.
    """

    semantics: dict[str, Tensor]
    confidence: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        parts = [*self.semantics.values(), *self.confidence.values()]
        return sum(parts[1:], parts[0])


class Objective(Protocol):
    """Compares a quantized model's outputs with the full-precision ones of the same images.

    Args:
        heads: the selected heads; the others do not count.
        lam: λ, the weight of the confidence term.
    """

    def __call__(
        self, detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float
    ) -> Terms: ...


OBJECTIVES: Registry[Objective] = Registry("objective", __name__)


def check_objective(name: str, detector: Detector) -> None:
    """Ask the objective's own ``check``, where it has one, whether it can be computed for a detector.

    Raises:
        InputError: it cannot, or there is none of the name.
    """
    check = getattr(OBJECTIVES[name], "check", None)
    if check:
        check(detector)


def squared(error: Tensor) -> Tensor:
    """‖error‖² per image, averaged over the batch."""
    return error.square().flatten(1).sum(1).mean()
