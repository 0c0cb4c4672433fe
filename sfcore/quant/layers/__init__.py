"""Quantized layers: one file each, registered for the layer that it replaces."""

from sfcore.quant.layers.base import QuantLayer, replacement, wraps

__all__ = ["QuantLayer", "replacement", "wraps"]
