"""Lane Focus: reconstruction where it hurts, on the lane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("lane-focus")
@dataclass(frozen=True)
class LaneFocus(Recipe):
    """The error of the decoded lane in pixels, every block held near its full-precision features.

    Weights, biases and step sizes move in units of each layer's own step, on augmented calibration images
    and rendered scenes, so that a network tuned on few cameras does not learn these cameras.
    """

    title: ClassVar[str] = "Lane Focus"
    summary: ClassVar[str] = "Counts errors where they show, in pixels or decimetres, not in the heads' own units."
    source: ClassVar[str] = "this project; the way that the conclusion of Selective Focus leaves open"

    objective: str = "lane"
    iterations: int = 1000
    batch: int = 4
    learning_rate: float = 0.04
    relative: bool = True
    reach: float | None = 0.075
    schedule: str = "cosine"
    lam: float = 50.0
    learn: tuple[str, ...] = ("weights", "biases", "steps", "norms")
    augmentation: float = 0.5
    features: float = 50.0
    rendered: int = 600
