"""LiDAR-PTQ: pseudo-labels of the full-precision network, and adaptive rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("lidar-ptq")
@dataclass(frozen=True)
class LidarPTQ(Recipe):
    """Task-guided global positive loss and the layers' own outputs, over rounding and step sizes of activations.

    Rates are the paper's: 5e-3 for the rounding, 5e-5 for step sizes, both absolute, however few steps there are: eight
    times as fast, roundings jump. Iterations, batch and the weights of the two losses are not told: ours. What stands
    for its local loss is the error of every block's features at once.
    The paper also keeps the first and last layer in full precision; bits belong to the scheme, which keeps 8 there.
    """

    title: ClassVar[str] = "LiDAR-PTQ"
    summary: ClassVar[str] = (
        "Teaches heat maps by the full-precision network's sure answers, after a search near the whole range."
    )
    source: ClassVar[str] = "Zhou et al., LiDAR-PTQ: Post-Training Quantization for Point Cloud 3D Detection, ICLR 2024"
    calibrators: ClassVar[tuple[str, str]] = ("maxmin-grid", "maxmin-grid")
    steady: ClassVar[bool] = True

    objective: str = "global-positive"
    learning_rate: float = 5e-3
    step_rate: float | None = 5e-5
    learn: tuple[str, ...] = ("rounding", "steps")
    features: float = 1000.0
