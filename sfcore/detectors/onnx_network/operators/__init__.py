"""The operators of ONNX that are known, by name; the files of this package register theirs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import lru_cache

from sfcore.detectors.onnx_network.node import Apply, Node, Operation

Build = Callable[[Node], "Operation | Apply"]
_OPERATORS: dict[str, Build] = {}


def operator(*names: str) -> Callable[[Build], Build]:
    """Decorator: the function below turns a node of one of these operators into torch, for its shapes."""

    def add(build: Build) -> Build:
        _OPERATORS.update(dict.fromkeys(names, build))
        return build

    return add


@lru_cache(maxsize=1)
def operators() -> dict[str, Build]:
    """All that are known."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _OPERATORS
