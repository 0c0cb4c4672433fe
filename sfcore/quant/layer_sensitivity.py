"""Which layer moves the prediction: each layer's quantization alone, all others at full precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.inference import run
from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.tasks.base import Agreement


@dataclass(frozen=True)
class LayerSensitivity:
    """What one quantizer does alone.

    Attributes:
        layer: the quantized layer.
        part: "weight", "input", or for a matrix product "left" or "right".
        bits: of this quantizer.
        distortion: mean distortion score per frame.
        parts: of the distortion, in the order of the task's.
        agreement: with full precision.
    """

    layer: str
    part: str
    bits: int
    distortion: float
    parts: Mapping[str, float]
    agreement: Agreement

    def row(self) -> dict[str, Any]:
        """For tables and JSON; the shift is called after its unit."""
        agreed = self.agreement
        own = {"layer": self.layer, "part": self.part, "bits": self.bits, "distortion": self.distortion}
        return own | dict(self.parts) | {f"shift_{agreed.unit}": agreed.shift, "f1": agreed.f1}


@torch.no_grad()
def layer_sensitivities(
    detector: Detector,
    quantized: Detector,
    frames: Tensor,
    progress: Callable[[int, int], None] | None = None,
    places: slice = slice(None),
) -> list[LayerSensitivity]:
    """Switch the quantizers of a calibrated model on one at a time; the worst comes first.

    Args:
        frames: (N, ...), as :meth:`InputSpec.stack` gives: (N, 3, H, W) uint8 of images.
        progress: called with (quantizers done, in all).
        places: which of the quantizers, in the order of the model's modules.
    """
    task, reference = detector.task, detector.decode(run(detector, frames))
    chosen = list(quantizers(quantized))[places]
    found = []
    with full_precision(quantized):
        for done, (name, quantizer) in enumerate(chosen, 1):
            quantizer.active = True
            prediction = quantized.decode(run(quantized, frames))
            quantizer.active = False
            layer, _, part = name.rpartition(".")
            parts = {k: float(v.mean()) for k, v in task.distortion(reference, prediction).parts().items()}
            agreed = task.agreement(reference, prediction)
            kind = part.removesuffix("_quantizer")
            found.append(LayerSensitivity(layer, kind, quantizer.bits, sum(parts.values()), parts, agreed))
            if progress:
                progress(done, len(chosen))
    return worst_first(found)


def worst_first(found: Iterable[LayerSensitivity]) -> list[LayerSensitivity]:
    """By distortion; those that are alike stay in their order."""
    return sorted(found, key=lambda one: -one.distortion)
