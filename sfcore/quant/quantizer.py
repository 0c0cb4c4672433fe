"""Moved to :mod:`sfcore.quant.quantizers`; kept for code that was written before."""

from sfcore.quant.quantizers.uniform import *  # noqa: F403
