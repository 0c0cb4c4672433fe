"""QDrop: block by block, with the quantization of activations dropped at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("qdrop")
@dataclass(frozen=True)
class QDrop(Recipe):
    """The published code's settings: 20,000 iterations a block at batch 32, each activation dropped with probability
    one half; rounding at a rate of 1e-3, step sizes of activations at 4e-5 along a cosine; λ 0.01, β from 20 to 2.
    """

    title: ClassVar[str] = "QDrop"
    summary: ClassVar[str] = (
        "Learns rounding and activation step sizes block by block, while half of the activations, drawn anew each "
        "step, stay at full precision."
    )
    source: ClassVar[str] = "Wei et al., QDrop: Randomly Dropping Quantization for PTQ, ICLR 2022"

    granularity: str = "block"
    iterations: int = 20_000
    batch: int = 32
    learning_rate: float = 1e-3
    step_rate: float | None = 4e-5
    schedule: str = "cosine"
    learn: tuple[str, ...] = ("rounding", "steps")
    drop: float = 0.5
