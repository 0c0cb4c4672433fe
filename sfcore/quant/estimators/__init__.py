"""What stands for the derivative of a sign while weights of one bit are learned: one file each that registers itself.

The sign's own derivative is 0 wherever it exists, so that nothing would be learned. Values are standardised: 0 is the
mean of their channel, 1 its standard deviation.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sfcore.registries import Registry

USUAL = "two-stage"  # of DIR-Net
WORTH = 0.1  # of the largest slope: with as much a value can be learned


class Slope(Protocol):
    """The derivative as a function, at one moment of learning."""

    def __call__(self, x: Tensor) -> Tensor:
        """The slope at each of the standardised values ``x``, of any shape; 0 at least."""

    @property
    def facts(self) -> dict[str, float]:
        """What a chart needs to draw it, by name; nothing where it is the same all along."""


class Estimator(Protocol):
    """Makes the slope of a weight.

    Args:
        x: its standardised values, of any shape.
        progress: the share of the iterations that are over, from 0 to 1.
    """

    def __call__(self, x: Tensor, progress: float) -> Slope: ...


ESTIMATORS: Registry[Estimator] = Registry("estimator", __name__)
