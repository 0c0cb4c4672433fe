"""Copies of networks, and turning a module of one into another where it stands."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from sfcore.quant.capture import tensors_in

M = TypeVar("M", bound=nn.Module)


def copied(module: M) -> M:
    """A deep copy; also of a module that keeps tensors which it computed, such as old-style weight normalisation."""
    computed = {
        id(value): value.detach().clone()
        for each in module.modules()
        for value in tensors_in(vars(each))
        if not value.is_leaf
    }
    return copy.deepcopy(module, computed)


def become(module: nn.Module, other: nn.Module) -> None:
    """Make a module another one for whoever holds it: under every name, in plain lists, in bound methods.

    ``other`` must not be used any more.
    """
    module.__class__ = type(other)
    module.__dict__ = vars(other)
