"""Gamma migration: the factors of layer norms move into the layers that read them (Wei et al. 2022, Outlier
Suppression).

A channel of a layer norm's output is large where its factor γ is. What the layer would quantize without γ has fewer
outliers, and in full precision nothing changes: W · LN(x) = (W ⊙ γ) · (LN(x) / γ).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.norm_readers import norm_readers
from sfcore.quant.quantizers import Quantizer, full_precision
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import TRANSFORMS, Transform


@TRANSFORMS.register("gamma-migration")
class GammaMigration(Transform):
    """Moves the factors of layer norms into the layers that read them, where that leaves fewer outliers.

    Published (section 4.1): the norm puts out LN(x) / γ, the layers behind it have W ⊙ γ, and a shortcut multiplies by
    γ again before it is added; all norms of a stack but the last. Here the layer divides what it reads by |γ|, in one
    place with other shifts and scales; the shortcut then never was divided, which is the same in full precision.
    A layer that reads LN(x) + p, such as positions, reads (LN(x) + p) / |γ|.

    Ours is the guard: a layer's columns take γ only where the outliers of what the layer really reads fall by it
    (:class:`Migration`) and no γ is 0. A published network has a norm with factors down to -0.009 where they would rise
    a hundredfold.
    """

    def fit(self, model: Detector, batches: Sequence[Tensor], scheme: Scheme) -> list[str]:
        found = migrations(model, batches[0])
        for migration in found:
            if migration.helps:
                layer, norm = model.get_submodule(migration.layer), model.get_submodule(migration.norm)
                assert isinstance(layer, QuantLayer) and isinstance(norm, nn.LayerNorm)
                layer.reparametrize(norm.weight.detach().abs())
        return [str(migration) for migration in found]


@dataclass(frozen=True)
class Migration:
    """A layer that reads what a layer norm puts out, and how far outliers of what it reads stand out.

    Attributes:
        norm, layer: by name.
        before, after: max_j m_j / median_j m_j of the channels' largest magnitudes m_j: with γ, and divided by it; ∞
            where a γ is 0, or where most channels are.
    """

    norm: str
    layer: str
    before: float
    after: float

    @property
    def helps(self) -> bool:
        """Whether outliers stand out less without γ."""
        return self.after < self.before

    def __str__(self) -> str:
        said = "γ migrated into it" if self.helps else "γ stays in the norm"
        return f"{self.layer} reads {self.norm}: max/median {self.before:.3g}, {self.after:.3g} without γ; {said}"


@torch.no_grad()
def migrations(model: Detector, images: Tensor) -> list[Migration]:
    """What gamma migration would do to each reader of a layer norm, in running order; nothing is changed.

    Args:
        model: a converted detector.
        images: preprocessed, (N, ...), on its device.
    """
    readings = norm_readers(model, images[:1])
    layers = {reading.layer: model.get_submodule(reading.layer) for reading in readings}
    peaks = _channel_peaks(model, layers, images)
    found = []
    for reading in readings:
        gamma = model.get_submodule(reading.norm).weight
        assert isinstance(gamma, Tensor)
        seen = peaks[reading.layer]
        if len(seen) == len(gamma):  # else it reads them along another dimension
            after = ratio(seen / gamma.abs()) if bool(gamma.all()) else float("inf")
            found.append(Migration(reading.norm, reading.layer, ratio(seen), after))
    return found


def ratio(peaks: Tensor) -> float:
    """The largest of (C,) magnitudes over their median; ∞ where the median is 0."""
    median = float(peaks.median())
    return float(peaks.max()) / median if median else float("inf")


def _channel_peaks(model: Detector, layers: Mapping[str, nn.Module], images: Tensor) -> dict[str, Tensor]:
    """(C,) the largest magnitude of each channel of what layers quantize, in full precision."""
    names: dict[Any, tuple[str, int]] = {}
    for name, layer in layers.items():
        assert isinstance(layer, QuantLayer)
        names[layer.input_quantizer] = name, layer.channel_axis
    peaks: dict[str, Tensor] = {}

    def see(quantizer: Quantizer, inputs: Any) -> None:
        name, axis = names[quantizer]
        found = inputs[0].movedim(axis, 0).flatten(1).abs().amax(1)
        peaks[name] = torch.maximum(peaks.get(name, found), found)

    with full_precision(model), hooks(names, before=see):
        model(images)
    return peaks
