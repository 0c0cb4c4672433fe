"""Which layer moves the lanes: each layer's quantization alone, all others at full precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.quant.inference import run
from sfcore.quant.quantizers.uniform import full_precision, quantizers
from sfcore.tasks.lanes import distortion
from sfcore.tasks.lanes.agreement import agreement


@dataclass(frozen=True)
class LayerSensitivity:
    """What one quantizer does alone.

    Attributes:
        layer: the quantized layer.
        part: "weight", "input", or for a matrix product "left" or "right".
        bits: of this quantizer.
        distortion: mean Lane Distortion Score per image.
        bend, spike, misalignment: its parts.
        shift_px: mean absolute shift of matched points, pixels at 640 width.
        f1: agreement with full precision at IoU 0.5.
    """

    layer: str
    part: str
    bits: int
    distortion: float
    bend: float
    spike: float
    misalignment: float
    shift_px: float
    f1: float


@torch.no_grad()
def layer_sensitivities(
    detector: Detector, quantized: Detector, images: Tensor, progress: Callable[[int, int], None] | None = None
) -> list[LayerSensitivity]:
    """Switch the quantizers of a calibrated model on one at a time; the worst comes first.

    Args:
        images: (N, 3, H, W) uint8, as :meth:`Preprocessing.resize` gives.
        progress: called with (quantizers done, in all).
    """
    reference = detector.decode(run(detector, images))
    chosen = list(quantizers(quantized))
    found = []
    with full_precision(quantized):
        for done, (name, quantizer) in enumerate(chosen, 1):
            quantizer.active = True
            lanes = quantized.decode(run(quantized, images))
            quantizer.active = False
            layer, _, part = name.rpartition(".")
            parts = {k: float(v.mean()) for k, v in distortion(reference, lanes).parts().items()}
            agreed = agreement(reference, lanes)
            found.append(
                LayerSensitivity(
                    layer,
                    part.removesuffix("_quantizer"),
                    quantizer.bits,
                    sum(parts.values()),
                    **parts,
                    shift_px=agreed.shift_px,
                    f1=agreed.f1,
                )
            )
            if progress:
                progress(done, len(chosen))
    return sorted(found, key=lambda c: -c.distortion)
