"""How much memory a step of tuning takes before its gradients are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def bytes_saved(forward: Callable[[], Any]) -> int:
    """Bytes of the tensors that a forward pass leaves for its gradients, each storage counted once.

    Args:
        forward: returns what holds on to them, so that no two lie at the same place.
    """
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = forward()
    del held
    return sum(storages.values())
