"""Making images that a network's batch norms take for images they were trained on.

Published (DSG for classification): a batch of as many samples as norms, Adam with rate 0.9 in the normalised space
for 500 steps, ε = 0.9, beside cross-entropy with random labels, a variation term and the samples' norm. A detector has
no labels, so its images are pulled by the statistics alone, and ε is smaller. Ours, too: samples are learned as pixels,
kept within 0 to 255 after each step and rounded at the end, so that what was judged is what a file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from sfcore.datasets.distilled import Distilled
from sfcore.detectors.base import Detector
from sfcore.distil.losses import Margin, alignment, correlation, enhancement, margins
from sfcore.distil.statistics import VARIANCE, Observed, Statistics
from sfcore.errors import InputError
from sfcore.inputs.images import Preprocessing
from sfcore.quant.inference import channels_last, in_memory_order

RATE = 6.0  # of Adam, in grey levels, falling to 0 along a cosine
NOISE = 1 << 20  # added to a batch's seed where it draws the noise that margins are measured on

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Batch:
    """Some of the samples, made together.

    Attributes:
        images: (B, 3, H, W) uint8, in the network's channel order.
        start, end: loss before the first step, and in the last.
    """

    images: Tensor
    start: float
    end: float


class Synthesis:
    """The synthesis of all samples, batch by batch, each from its own seed: what one is does not hang on others.

    Attributes:
        batches: the numbers of the samples of each batch, at most as many as there are norms: each has its own layer.

    Raises:
        InputError: the detector reads no images, or has no batch norms.
    """

    def __init__(self, detector: Detector, what: Distilled) -> None:
        self.spec, self.what = image_input(detector), what
        self.observed = Observed(detector)
        channels_last(self.observed.model)
        size = len(self.observed.norms)
        self.batches = [range(first, min(first + size, what.count)) for first in range(0, what.count, size)]
        self.allowed = self._margins(size)

    def batch(self, numbers: Sequence[int], progress: Progress | None = None) -> Batch:
        """Make the samples of one batch.

        Args:
            numbers: one of :attr:`batches`.
            progress: called with (steps done, steps in all).

        Raises:
            InputError: the loss is no finite number, because a weight is none.
        """
        draw = torch.Generator().manual_seed(self.what.seed * NOISE + numbers[0])
        device = self.observed.model.device
        pixels = in_memory_order(gaussian(self.spec, len(numbers), draw).to(device)).requires_grad_()
        weights = self._weights(numbers).to(device)
        targets = self._targets(len(numbers), draw)
        adam = torch.optim.Adam([pixels], RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.what.steps)
        losses = []
        for step in range(1, self.what.steps + 1):
            loss = self._loss(pixels, weights, targets)
            (pixels.grad,) = torch.autograd.grad(loss, pixels)
            adam.step()
            schedule.step()
            pixels.data.clamp_(0, 255)
            losses.append(loss.item())
            if progress:
                progress(step, self.what.steps)
        if not isfinite(losses[-1]):
            raise InputError(f"{self.what}: the loss is {losses[-1]}: check that all weights are finite numbers")
        return Batch(pixels.detach().round().byte().cpu().contiguous(), losses[0], losses[-1])

    def _margins(self, samples: int) -> list[Margin]:
        """Those of slack alignment; ZeroQ allows none."""
        if self.what.zeroq:
            return [Margin()] * len(self.observed.norms)
        draw = torch.Generator().manual_seed(self.what.seed * NOISE + NOISE - 1)
        with torch.no_grad():
            noise = self.observed(gaussian(self.spec, samples, draw).to(self.observed.model.device))
        return margins(noise, self.what.epsilon)

    def _weights(self, numbers: Sequence[int]) -> Tensor:
        """(norms, B) how often each layer counts for each sample."""
        norms = len(self.observed.norms)
        return torch.ones(norms, len(numbers)) if self.what.zeroq else enhancement(norms, numbers)

    def _loss(self, pixels: Tensor, weights: Tensor, targets: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The alignment of norms, and of the input itself; of DSG the inhibition of correlations, too."""
        found = [
            replace(each, norm_mean=mean, norm_std=std)
            for each, (mean, std) in zip(self.observed(pixels), targets, strict=True)
        ]
        inputs = self.spec.normalize(pixels)
        own = Statistics.of(inputs, inputs.new_zeros(3), inputs.new_full((3,), 1 - VARIANCE))
        loss = (weights * alignment(found, self.allowed)).sum(0).mean() + alignment([own], [Margin()]).mean()
        return loss if self.what.zeroq else loss + correlation(inputs)

    def _targets(self, samples: int, draw: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """(B, C) means and deviations that each sample is drawn to, norm by norm.

        With a spread s they are μ_i + s·σ_i·ξ_j·(a sign for each channel) and σ_i·(1 + s·ξ'_j), ξ and ξ' standard
        normal numbers of each sample and norm: ours, for margins alone leave samples nearly alike.
        """
        return [self._target(norm, samples, draw) for norm in self.observed.norms]

    def _target(self, norm: Any, samples: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        mean, std = norm.running_mean, torch.sqrt(norm.running_var + VARIANCE)
        signs = torch.randint(0, 2, (samples, len(mean)), generator=draw).to(mean) * 2 - 1
        shift, stretch = torch.randn((2, samples, 1), generator=draw).to(mean) * self.what.spread
        return mean + shift * signs * std, std * (1 + stretch)


def gaussian(spec: Preprocessing, count: int, draw: torch.Generator) -> Tensor:
    """(count, 3, H, W) float pixels of Gaussian noise, which the network reads as mean 0 and deviation 1 where none
    leaves the range of pixels."""
    noise = torch.randn((count, 3, *spec.size), generator=draw)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    return ((mean + std * noise) * 255).clamp(0, 255)


def image_input(detector: Detector) -> Preprocessing:
    """The input of a detector that reads images. Raises InputError: it reads something else."""
    spec = detector.preprocessing
    if not isinstance(spec, Preprocessing):
        raise InputError(
            f"{type(detector).__name__} reads {spec.kind}s, and only images are distilled: calibrate it on a folder"
        )
    return spec
