"""Selective Focus without the focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS
from sfcore.quant.methods.selective_focus import SelectiveFocus


@METHODS.register("selection-only")
@dataclass(frozen=True)
class SelectionOnly(SelectiveFocus):
    """Plain reconstruction (eq. 1) of the k heads that Sensitivity Aware Selection (algorithm 1) picks."""

    title: ClassVar[str] = "Selection without Focus"
    summary: ClassVar[str] = "Counts every number the same, on the heads that distort most at the time."
    source: ClassVar[str] = "Fan et al., Selective Focus, AAAI 2024, table 2"

    objective: str = "plain"
