"""The published post-process of RESA is that of SCNN."""

from benchmarks.decode.scnn import published

__all__ = ["published"]
