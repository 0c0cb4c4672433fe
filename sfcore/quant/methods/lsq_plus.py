"""LSQ+: quantization-aware training with learned step sizes and offsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("lsq-plus")
@dataclass(frozen=True)
class LsqPlus(Recipe):
    """Weights, biases, step sizes and, in affine schemes, offsets are trained together, all through the network.

    Published for labels and whole data sets; here the full-precision network is the teacher, as for every method.
    LSQ scales the gradient of a step size by 1/√(N·Q) so that under plain gradient descent steps and weights move
    by like shares of themselves. Adam divides any such factor out again, so rates in units of each step size do it.
    """

    title: ClassVar[str] = "LSQ+"
    summary: ClassVar[str] = "Trains weights, step sizes and offsets of the whole network together: slow, and the bar."
    source: ClassVar[str] = "Bhalgat et al., LSQ+, CVPR workshops 2020; Esser et al., LSQ, ICLR 2020"

    iterations: int = 20_000
    batch: int = 16
    learning_rate: float = 0.02
    relative: bool = True
    schedule: str = "cosine"
    learn: tuple[str, ...] = ("weights", "biases", "steps", "offsets")
