"""Plain reconstruction of all heads (Selective Focus, eq. 1)."""

from __future__ import annotations

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.objectives import OBJECTIVES, Terms, squared


@OBJECTIVES.register("plain")
def plain(detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float) -> Terms:
    """sum over i of ‖Ŝ_i - S_i‖² + ‖Ĉ_i - C_i‖²; λ has no part in it."""
    semantics, confidence = {}, {}
    for name in heads:
        if detector.head(name).role == "semantics":
            semantics[name] = squared(quantized[name] - reference[name])
        confidence[name] = squared(detector.confidence(quantized, name) - detector.confidence(reference, name))
    return Terms(semantics, confidence)
