"""Calibration only: nothing is tuned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("calibrate")
@dataclass(frozen=True)
class Calibrate(Recipe):
    """What the calibrators find, and bias correction."""

    title: ClassVar[str] = "Calibration only"
    summary: ClassVar[str] = "Step sizes as the calibrators find them, and bias correction."
    source: ClassVar[str] = "Choukroun et al. 2019 (OMSE); Nagel et al. 2019 (bias correction)"

    iterations: int = field(default=0, init=False)
