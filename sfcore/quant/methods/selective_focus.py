"""Selective Focus as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("selective-focus")
@dataclass(frozen=True)
class SelectiveFocus(Recipe):
    """Semantic Guided Focus (eq. 6) on the k heads that Sensitivity Aware Selection (algorithm 1) picks."""

    title: ClassVar[str] = "Selective Focus"
    summary: ClassVar[str] = "Counts errors where the foreground is, on the heads that distort most at the time."
    source: ClassVar[str] = "Fan et al., Selective Focus, AAAI 2024"

    objective: str = "focus"
    selection: str = "fast"
    lam: float = 2.0
