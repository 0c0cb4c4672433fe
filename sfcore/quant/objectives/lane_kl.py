"""Lane Focus with two mends: confidences that are gone are called back, and nothing in the heads is left loose.

A lane that quantization has put out has a confidence near 0, where the gradient of a squared error dies with the
sigmoid's slope; that of the divergence is the error itself (Hinton et al. 2015). And points on the road say nothing of
values that no lane of these images hangs on, which the noise level of each head does.
"""

from __future__ import annotations

from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.objectives import OBJECTIVES, Terms
from sfcore.quant.objectives.lane import lane

SURE = 1e-6  # confidences are held this far from 0 and 1
HEADS = 100.0  # a noise level of 10 % on every head counts like a pixel on the road


@OBJECTIVES.register("lane-kl")
def lane_kl(detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float) -> Terms:
    """mean over points of c_j · huber(p̂_j - p_j) + HEADS · mean over heads of ‖ô - o‖² / ‖o‖²
    + λ · Σ KL(C ‖ Ĉ) / max(1, Σ C), over all confidences.

    The divergence is divided by the lanes that there are, not by all places where one could be, so that λ means the
    same for a heat map of thousands of cells as for seven queries.
    """
    semantics = dict(lane(detector, quantized, reference, (), lam).semantics)
    confidence = {}
    for name in heads:
        full = reference[name]
        share = (quantized[name] - full).square().sum() / full.square().sum().clamp_min(1e-9)
        semantics[name] = HEADS * share / len(heads)
    for name in sorted({detector.head(name).confidence for name in heads}):
        full = detector.confidence(reference, name)
        spread = divergence(full, detector.confidence(quantized, name)).sum()
        confidence[name] = lam * spread / full.sum().clamp_min(1.0)
    return Terms(semantics, confidence)


def divergence(full: Tensor, other: Tensor) -> Tensor:
    """KL(C ‖ Ĉ) of each confidence, taken as the chance of a lane."""
    p, q = full.clamp(SURE, 1 - SURE), other.clamp(SURE, 1 - SURE)
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
