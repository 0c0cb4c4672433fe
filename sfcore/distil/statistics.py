"""What samples make of the inputs of a network's batch norms, beside what the norms remember of the training images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.copies import copied
from sfcore.quant.hooks import hooks
from sfcore.quant.transforms.batch_norm import is_batch_norm

VARIANCE = 1e-6  # added to every variance before its root, as published


@dataclass(frozen=True)
class Statistics:
    """Of the input of one batch norm, channel by channel.

    Attributes:
        mean, std: (B, C) of each sample, over all of its positions; gradients reach the samples.
        norm_mean, norm_std: (C,) that the norm remembers.
    """

    mean: Tensor
    std: Tensor
    norm_mean: Tensor
    norm_std: Tensor

    @classmethod
    def of(cls, values: Tensor, norm_mean: Tensor, norm_var: Tensor) -> Statistics:
        """Those of (B, C, ...) values with two positions or more; variances are unbiased."""
        flat = values.flatten(2)
        std = torch.sqrt(flat.var(2) + VARIANCE)
        return cls(flat.mean(2), std, norm_mean, torch.sqrt(norm_var + VARIANCE))


class Observed:
    """A copy of a detector whose batch norms are watched; the detector itself stays as it is.

    A norm that is called several times in a pass counts once, with all that it reads. Left out are norms whose input
    does not tell samples apart (its first dimension is another), or has a single position a sample, which has no
    deviation.

    Attributes:
        model: the copy, at full precision, without gradients of its own.
        norms: the watched norms, in the order in which a pass reaches them.

    Raises:
        InputError: none is left to watch.
    """

    def __init__(self, detector: Detector) -> None:
        self.model = copied(detector).eval().requires_grad_(False)
        with torch.no_grad():
            self.norms = list(self._watched(self.model.preprocessing.example(2).to(self.model.device).float()))
        if not self.norms:
            raise InputError(
                f"{type(detector).__name__} has no batch norms with statistics of their own to distil images from "
                "(layer norms remember none, exported files have theirs folded): calibrate it on a folder of images"
            )

    def __call__(self, pixels: Tensor) -> list[Statistics]:
        """The statistics of (B, ...) stacked samples, float and perhaps with gradients, norm by norm."""
        found = self._watched(pixels)
        return [Statistics.of(found[norm], norm.running_mean, norm.running_var) for norm in self.norms]

    def _watched(self, pixels: Tensor) -> dict[Any, Tensor]:
        seen: dict[nn.Module, list[Tensor]] = {}
        with hooks(filter(is_batch_norm, self.model.modules()), before=_noting(seen, len(pixels))):
            self.model(self.model.preprocessing.normalize(pixels))
        joined = {norm: torch.cat(parts, 2) for norm, parts in seen.items()}
        return {norm: values for norm, values in joined.items() if values.shape[2] > 1}


def _noting(seen: dict[nn.Module, list[Tensor]], samples: int) -> Callable[..., None]:
    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].ndim > 2 and len(inputs[0]) == samples:
            seen.setdefault(norm, []).append(inputs[0].flatten(2))

    return note
