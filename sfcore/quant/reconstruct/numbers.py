"""Reading what a step has to say in one go: each look at a number makes the CPU wait for the GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten


def as_numbers(event: dict[str, Any]) -> dict[str, Any]:
    """What is written down of a step, with floats in place of tensors ()."""
    leaves, form = tree_flatten(event)
    tensors = [leaf.double() for leaf in leaves if isinstance(leaf, Tensor)]
    numbers = iter(torch.stack(tensors).tolist() if tensors else ())
    return tree_unflatten([next(numbers) if isinstance(leaf, Tensor) else leaf for leaf in leaves], form)
