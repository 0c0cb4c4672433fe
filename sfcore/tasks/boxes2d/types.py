"""Boxes in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sfcore.tasks.boxes import PaddedBoxes


@dataclass(frozen=True)
class Boxes2d(PaddedBoxes):
    """A batch of sets of upright boxes in images.

    Attributes:
        box: (B, L, 4) left, top, right, bottom in pixels of ``size``; NaN where a slot is empty.
        size: (height, width) of the image that the pixels refer to.
    """

    numbers: ClassVar[int] = 4

    size: tuple[int, int]

    def resized(self, size: tuple[int, int]) -> Boxes2d:
        """The same boxes in the pixels of an image of another (height, width)."""
        fy, fx = size[0] / self.size[0], size[1] / self.size[1]
        return replace(self, box=self.box * self.box.new_tensor([fx, fy, fx, fy]), size=size)

    @classmethod
    def from_objects(
        cls, frames: Sequence[Sequence[np.ndarray]], names: tuple[str, ...], size: tuple[int, int]
    ) -> Boxes2d:
        """A batch of what :meth:`objects` gave of each frame. Raises InputError: see :meth:`padded`."""
        return cls(*cls.padded(frames), names, size)
