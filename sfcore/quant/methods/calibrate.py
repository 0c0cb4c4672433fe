"""Calibration only: nothing is tuned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("calibrate")
@dataclass(frozen=True)
class Calibrate(Recipe):
    """What the calibrators find, and bias correction; the small branches of the heads, which move every lane, get 16
    bits."""

    title: ClassVar[str] = "Calibration only"
    summary: ClassVar[str] = (
        "Step sizes as the calibrators find them, bias correction, and 16 bits for the heads' own branches."
    )
    source: ClassVar[str] = "Choukroun et al. 2019 (OMSE); Nagel et al. 2019 (bias correction)"

    iterations: int = field(default=0, init=False)
    wide_heads: bool = True
