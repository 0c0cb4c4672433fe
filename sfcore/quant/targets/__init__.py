"""Target profiles: what a family of engines makes of a quantized network, one file each."""

from sfcore.quant.targets.base import TARGETS, Target

__all__ = ["TARGETS", "Target"]
