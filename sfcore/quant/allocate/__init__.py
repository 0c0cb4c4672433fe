"""Strategies of allocating bits to layers within a budget: one file each."""

from sfcore.quant.allocate.base import STRATEGIES, Choices, Strategy

__all__ = ["STRATEGIES", "Choices", "Strategy"]
