"""Fake quantizers: one file each."""
