"""Boxes in space, as detectors find them in point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sfcore.tasks.boxes import PaddedBoxes


@dataclass(frozen=True)
class Boxes3d(PaddedBoxes):
    """A batch of sets of boxes that stand upright, in the sensor's frame: x ahead, y left, z up.

    Attributes:
        box: (B, L, 7) centre x, y, z, length, width, height in metres, yaw in radians from x towards y; NaN where a
            slot is empty. The length lies along the heading.
        extent: x_min, y_min, x_max, y_max in metres: the ground that pictures of these boxes show.
    """

    numbers: ClassVar[int] = 7

    extent: tuple[float, float, float, float]

    @classmethod
    def from_objects(
        cls,
        frames: Sequence[Sequence[np.ndarray]],
        names: tuple[str, ...],
        extent: tuple[float, float, float, float],
    ) -> Boxes3d:
        """A batch of what :meth:`objects` gave of each frame. Raises InputError: see :meth:`padded`."""
        return cls(*cls.padded(frames), names, extent)
