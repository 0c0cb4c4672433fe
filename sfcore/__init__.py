"""Selective Focus Studio: find and mend what quantization does to lane detectors."""

__version__ = "0.2.0"
