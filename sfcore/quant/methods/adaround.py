"""AdaRound: the rounding of each weight is learned, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("adaround")
@dataclass(frozen=True)
class AdaRound(Recipe):
    """Eq. 21 to 24 of the paper with its settings: 10,000 iterations a layer at batch 32, Adam as it is by default.

    The published method knows weights alone. Here, as the later methods compare it, activations are quantized
    meanwhile; and a layer's output is compared before what follows it, which need not be a ReLU.
    """

    title: ClassVar[str] = "AdaRound"
    summary: ClassVar[str] = "Learns layer by layer whether each weight is rounded up or down."
    source: ClassVar[str] = "Nagel et al., Up or Down? Adaptive Rounding for Post-Training Quantization, ICML 2020"

    granularity: str = "layer"
    iterations: int = 10_000
    batch: int = 32
    learning_rate: float = 1e-3
    learn: tuple[str, ...] = ("rounding",)
