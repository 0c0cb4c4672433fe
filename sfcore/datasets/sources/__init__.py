"""Kinds of sources, one file each: see :mod:`sfcore.datasets.source`."""
