"""Selective Focus without the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS
from sfcore.quant.methods.selective_focus import SelectiveFocus


@METHODS.register("focus-only")
@dataclass(frozen=True)
class FocusOnly(SelectiveFocus):
    """Semantic Guided Focus (eq. 6) on all heads."""

    title: ClassVar[str] = "Focus without Selection"
    summary: ClassVar[str] = "Counts errors where the foreground is, on all heads alike."
    source: ClassVar[str] = "Fan et al., Selective Focus, AAAI 2024, table 2"

    selection: str = "none"
