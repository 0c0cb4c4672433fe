"""The methods that tune a quantized model: one file and one frozen configuration each."""

from __future__ import annotations

from sfcore.quant.methods.recipe import METHODS, Recipe


def methods() -> dict[str, type[Recipe]]:
    """All methods by name."""
    return {name: METHODS[name] for name in METHODS}


__all__ = ["METHODS", "Recipe", "methods"]
