"""Labelled boxes of one sweep, and what is known of how hard each is to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfcore.datasets.dataset import Label

if TYPE_CHECKING:
    from sfcore.datasets.kitti.calibration import Calibration


@dataclass(frozen=True)
class SweepLabel(Label):
    """The boxes of one sweep, (9,) each: see :class:`sfcore.tasks.boxes3d.Boxes3d`, the place of its class, 1.

    Attributes:
        names: of the classes.
        levels: (N,) from which of KITTI's difficulties on each of the objects has to be found: 0 easy, 1 moderate,
            2 hard, 3 at none; None where that is not known.
        camera: where only what its image shows is labelled; None where all around is.
    """

    names: tuple[str, ...] = ()
    levels: np.ndarray | None = None
    camera: Calibration | None = None
