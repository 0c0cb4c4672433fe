"""What is mended in a calibrated model before any tuning: one file each that registers itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.registries import Registry


class Correction(Protocol):
    """Mends a calibrated model.

    Args:
        detector: the full-precision detector.
        model: its calibrated copy; it may be changed.
        batches: preprocessed frames, each (B, ...).

    Returns:
        The model to go on with: ``model``, or a mended copy of it.
    """

    def __call__(self, detector: Detector, model: Detector, batches: Sequence[Tensor]) -> Detector: ...


CORRECTIONS: Registry[Correction] = Registry("correction", __name__)
