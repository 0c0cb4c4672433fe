"""Semantic Guided Focus (Selective Focus, eq. 6)."""

from __future__ import annotations

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.objectives import OBJECTIVES, Terms, squared


@OBJECTIVES.register("focus")
def focus(detector: Detector, quantized: Outputs, reference: Outputs, heads: tuple[str, ...], lam: float) -> Terms:
    """sum over i of ‖C_i ⊙ (Ŝ_i - S_i)‖² + λ ‖Ĉ_i - C_i‖², with C the full-precision confidence."""
    semantics, confidence = {}, {}
    for name in heads:
        full = detector.confidence(reference, name)
        if detector.head(name).role == "semantics":
            semantics[name] = squared(full * (quantized[name] - reference[name]))
        confidence[name] = lam * squared(detector.confidence(quantized, name) - full)
    return Terms(semantics, confidence)
