"""Fake quantizers: one file each that registers itself."""

from sfcore.quant.quantizers.base import QUANTIZERS, Integers, Quantizer, full_precision, quantizers

__all__ = ["QUANTIZERS", "Integers", "Quantizer", "full_precision", "quantizers"]
