"""BRECQ: the rounding of each weight is learned, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("brecq")
@dataclass(frozen=True)
class Brecq(Recipe):
    """The published code's settings: 20,000 iterations a block at batch 32, squared error, λ 0.01, β from 20 to 2.

    The published code learns the rounding while activations are at full precision and their step sizes in a second
    pass. Here activations are quantized meanwhile and their step sizes stay as calibrated: what QDrop is without
    its drops and without learned step sizes.
    """

    title: ClassVar[str] = "BRECQ"
    summary: ClassVar[str] = "Learns block by block whether each weight is rounded up or down."
    source: ClassVar[str] = "Li et al., BRECQ: Pushing the Limit of PTQ by Block Reconstruction, ICLR 2021"

    granularity: str = "block"
    iterations: int = 20_000
    batch: int = 32
    learning_rate: float = 1e-3
    learn: tuple[str, ...] = ("rounding",)
