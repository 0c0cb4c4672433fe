"""Net-wise reconstruction of all heads alike: the baseline of Selective Focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("netwise")
@dataclass(frozen=True)
class Netwise(Recipe):
    """Eq. 1 over all heads with the settings of the published run."""

    title: ClassVar[str] = "Net-wise plain"
    summary: ClassVar[str] = "Makes all head outputs equal the full-precision ones, every number counting the same."
    source: ClassVar[str] = "Selective Focus (AAAI 2024), eq. 1; the row without Focus and Selection of its table 2"

    objective: str = "plain"
