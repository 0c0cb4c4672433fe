"""The shift and the scale of what some layers quantize, found by their output (Wei et al. 2023, Outlier Suppression+,
section 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfcore.quant.calibrate import calibrate_weight
from sfcore.quant.calibrators.minmax import minmax
from sfcore.quant.layers import QuantLayer

# The published grid ends at 1 and has a step for each 0.5 of the largest magnitude, at least 100 in all.
END, STEP, STEPS = 1.0, 0.5, 100
RELATIVE_END = 0.1  # of the largest magnitude, where that is below END: ours, for networks of small activations
WORTH = 0.99  # of the output's error that must be left at most: ours, for a scale may cost an engine a product


@dataclass(frozen=True)
class Site:
    """Layers that read the same tensor and shall have the same shift and scale.

    Attributes:
        layers: by name; their quantizers are off.
        low, high: (C,) the least and the largest of each channel of what they quantize.
        output: computes what is judged with the layers as they are.
        steps: thresholds that are tried; None for as many as published.
    """

    layers: dict[str, QuantLayer]
    low: Tensor
    high: Tensor
    output: Callable[[], Tensor]
    steps: int | None = None

    @property
    def shifts(self) -> list[Tensor | None]:
        """None, and (C,) the middle of each channel's range where the layers take a shift."""
        shiftable = all(layer.shiftable for layer in self.layers.values())
        return [None, (self.low + self.high) / 2] if shiftable else [None]

    def quantize(self, shift: Tensor | None, scale: Tensor) -> None:
        """Reparametrize the layers, and quantize them, min-max, at their bits."""
        offset = 0.0 if shift is None else shift
        ends = torch.stack([((self.low - offset) / scale).min(), ((self.high - offset) / scale).max()])
        for name, layer in self.layers.items():
            if shift is not None or not bool((scale == 1).all()):
                layer.reparametrize(scale, shift)
            layer.input_quantizer.calibrate([ends.unsqueeze(0)], bool(ends[0] < 0), minmax)
            calibrate_weight(name, layer, minmax)
            layer.input_quantizer.active = layer.weight_quantizer.active = True


@dataclass(frozen=True)
class Found:
    """What is best for a site.

    Attributes:
        shift, scale: (C,); no shift where None, and ones where nothing is scaled.
        before, after: mean squared errors of the output: with nothing shifted and scaled, and with these.
    """

    shift: Tensor | None
    scale: Tensor
    before: float
    after: float

    def __str__(self) -> str:
        shifted, scaled = self.shift is not None, bool((self.scale > 1).any())
        done = " and ".join(word for word, so in (("shifted", shifted), ("scaled", scaled)) if so)
        return f"{done}, {self.after / self.before:.2f} of its output's error" if done else "left as it is"


@torch.no_grad()
def search(site: Site, expected: Tensor) -> Found:
    """The best shift and scale: s_j = max(1, max|X_j - z_j| / t) of a grid of thresholds t.

    Where they save next to nothing, nothing is shifted or scaled. The site is left as it was.

    Args:
        expected: what the site puts out in full precision.
    """
    tried: list[tuple[float, Tensor | None, Tensor]] = []
    for shift in site.shifts:
        offset = 0.0 if shift is None else shift
        peaks = torch.maximum((site.low - offset).abs(), (site.high - offset).abs())
        for threshold in thresholds(float(peaks.max()), site.steps):
            scale = (peaks / threshold).clamp_min(1.0)
            with _tried(site, shift, scale):
                tried.append((float(functional.mse_loss(site.output(), expected)), shift, scale))
    plain, best = tried[0], min(tried, key=lambda one: one[0])
    after, shift, scale = best if best[0] <= WORTH * plain[0] else plain
    return Found(shift, scale, plain[0], after)


def thresholds(largest: float, steps: int | None = None) -> list[float]:
    """From the largest magnitude down in even steps; both ends are among them.

    Example:
        >>> [round(t, 2) for t in thresholds(4.0, 4)]
        [4.0, 2.8, 1.6, 0.4]
        >>> len(thresholds(80.0)), thresholds(80.0)[-1]
        (160, 1.0)
    """
    if not largest:
        return [1.0]
    count = steps or max(STEPS, int(largest / STEP))
    end = min(END, RELATIVE_END * largest)
    return [largest - (largest - end) * step / (count - 1) for step in range(count)]


@contextmanager
def _tried(site: Site, shift: Tensor | None, scale: Tensor) -> Iterator[None]:
    """Within the block the site is shifted, scaled and quantized."""
    layers = list(site.layers.values())
    before = [(layer.weight.clone(), layer.bias.clone(), layer.shift, layer.scale) for layer in layers]
    try:
        site.quantize(shift, scale)
        yield
    finally:
        for layer, (weight, bias, shift_before, scale_before) in zip(layers, before, strict=True):
            layer.shift, layer.scale = shift_before, scale_before
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            layer.input_quantizer.active = layer.weight_quantizer.active = False
