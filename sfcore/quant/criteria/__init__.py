"""How the harm that one quantizer does alone is told: one file each. Bits are allocated by one of them."""

from sfcore.quant.criteria.base import CRITERIA, Criterion, GradientCriterion, OutputCriterion

__all__ = ["CRITERIA", "Criterion", "GradientCriterion", "OutputCriterion"]
