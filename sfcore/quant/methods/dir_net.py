"""DIR-Net: networks whose weights have one bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sfcore.quant.methods.recipe import METHODS, Recipe


@METHODS.register("dir-net")
@dataclass(frozen=True)
class DirNet(Recipe):
    """For schemes such as W1A8: balanced signs, learned by the two-stage estimator; more bits are tuned as by others.

    Published for labels and training from scratch. Here the full-precision network is the teacher, of every block's
    features, which is the paper's distillation of representations, and of lanes and confidences as in ``best``. Rates
    are in units of each layer's scale. Biases and scales are learned as well, for no batch norm is left to mend them.
    """

    title: ClassVar[str] = "DIR-Net, for weights of 1 bit"
    summary: ClassVar[str] = "Learns which sign each weight has; meant for W1A8 and W1A4."
    source: ClassVar[str] = "Qin et al., DIR-Net, IJCV 2022; its schedule from Qin et al., IR-Net, CVPR 2020"

    objective: str = "lane-kl"
    iterations: int = 5000
    batch: int = 8
    learning_rate: float = 0.02
    relative: bool = True
    schedule: str = "cosine"
    lam: float = 10.0
    learn: tuple[str, ...] = ("weights", "biases", "steps", "norms")
    augmentation: float = 0.5
    features: float = 1000.0
    rendered: int = 600
    check_every: int = 50
