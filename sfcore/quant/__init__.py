"""Quantization: schemes, calibrators, conversion, reconstruction, methods."""

from sfcore.quant.pipeline import quantize
from sfcore.quant.quantizers import full_precision
from sfcore.quant.scheme import Scheme

__all__ = ["Scheme", "full_precision", "quantize"]
