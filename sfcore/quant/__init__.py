"""Quantization: schemes, calibrators, conversion, reconstruction, methods."""

from sfcore.quant.calibrate import quantize
from sfcore.quant.quantizers.uniform import full_precision
from sfcore.quant.scheme import Scheme

__all__ = ["Scheme", "full_precision", "quantize"]
