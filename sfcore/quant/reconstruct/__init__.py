"""Reconstruction: tuning a quantized detector towards its full-precision self, unit after unit."""
