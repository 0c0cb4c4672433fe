"""Moved to :mod:`sfcore.quant.quantizers`; kept for code that was written before."""

from sfcore.quant.quantizers import full_precision, quantizers
from sfcore.quant.quantizers.uniform import FakeQuantizer, limits

__all__ = ["FakeQuantizer", "full_precision", "limits", "quantizers"]
