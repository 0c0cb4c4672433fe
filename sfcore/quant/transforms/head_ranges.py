"""Ranges of the heads' branches by what comes out: each is narrowed where predictions are the less distorted for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.inference import first_images, in_batches
from sfcore.quant.quantizers import Quantizer
from sfcore.quant.scheme import Scheme
from sfcore.quant.transforms import TRANSFORMS, Transform

FACTORS = (0.75, 0.55, 0.4)  # of the calibrated step size
JUDGED, BATCH = 32, 8  # frames that they are judged on, and how many at once
WORTH = 0.99  # of the distortion that must be left at most: less is what rounding alone does


@TRANSFORMS.register("head-ranges")
class HeadRanges(Transform):
    """Tries narrower ranges for what each layer of the heads' branches reads, the last first, and keeps the one that
    distorts the predictions on calibration frames least (this project).

    Calibrators judge a range by the squared error of the values themselves. Frames of many cameras have a few large
    values, for which the range becomes wide, and the steps coarse for all others; in the last layers, whose output is
    the prediction, the small ones count as much. Costs three passes of at most 32 frames for each such layer.
    """

    @torch.no_grad()
    def adjust(self, model: Detector, detector: Detector, batches: Sequence[Tensor], scheme: Scheme) -> list[str]:
        judged = first_images(batches, JUDGED).split(BATCH)
        reference = detector.decode(in_batches(detector, judged))

        def distortion() -> float:
            found = model.decode(in_batches(model, judged))
            return float(detector.task.distortion(reference, found).score.double().mean())

        least, said = distortion(), []
        for name in reversed(model.branch_layers):
            for part, quantizer in _read_by(model, name):
                before = least
                factor, least = _narrowed(quantizer, least, distortion)
                if factor < 1:
                    said.append(
                        f"{part} has {factor:g} of its range, which leaves {least / before:.2f} of the distortion"
                    )
        return said or ["no narrower range distorts less"]


def _read_by(model: Detector, layer: str) -> list[tuple[str, Quantizer]]:
    """The quantizers of what a layer, or its parts, read, by name."""
    parts = model.get_submodule(layer).named_modules(prefix=layer)
    return [(n, part) for n, part in parts if isinstance(part, Quantizer) and not n.endswith("weight_quantizer")]


def _narrowed(quantizer: Quantizer, least: float, distortion: Callable[[], float]) -> tuple[float, float]:
    """Give a quantizer the best of the narrower ranges, or its own.

    Args:
        least: the distortion with its own range.

    Returns:
        The factor of its range, and the distortion that is left.
    """
    if not quantizer.known:
        return 1.0, least
    scale, zero, best = quantizer.scale.detach().clone(), _copied(quantizer.zero), 1.0
    for factor in FACTORS:
        quantizer.set_range(scale * factor, quantizer.signed, zero)
        found = distortion()
        if found <= WORTH * least:
            best, least = factor, found
    quantizer.set_range(scale * best, quantizer.signed, zero)
    return best, least


def _copied(zero: Tensor | None) -> Tensor | None:
    return None if zero is None else zero.detach().clone()
