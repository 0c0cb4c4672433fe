"""Which device to compute on, and how its processor treats numbers next to nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from sfcore.errors import InputError

_constants: dict[Any, Tensor] = {}
DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; "auto" is CUDA where there is one.

    Raises:
        InputError: it is unknown, or CUDA is asked for where there is none.
    """
    if name not in DEVICES:
        raise InputError(f"there is no device {name!r}: choose one of {', '.join(DEVICES)}")
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise InputError("device 'cuda' was asked for, but no CUDA device is found: choose cpu or auto")
    return torch.device("cuda" if cuda and name != "cpu" else "cpu")


def constant(values: tuple[Any, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers that stay, copied to a device once, for a GPU is waited for each time. Never write into it.

    Args:
        values: numbers, or tuples of equally many numbers.
    """
    key = values, device, dtype
    found = _constants.get(key)
    if found is None:
        found = torch.tensor(values, device=device, dtype=dtype)
        # The CPU is not waited for; and what tracing makes is of its trace alone.
        if device.type != "cpu" and not isinstance(found, FakeTensor):
            _constants[key] = found
    return found


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device. From the CPU to a GPU it goes by pinned memory, while the CPU goes on."""
    if tensor.device.type != "cpu" or device.type == "cpu":
        return tensor.to(device)  # what the CPU is to read, it waits for
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def flush_denormals() -> bool:
    """Let this thread take denormal numbers, those below 1.2e-38, for zero, as GPUs do.

    A CPU computes with them some 40 times slower, and decayed weights are full of them. A thread starts with what the
    one that starts it has; so do torch's own workers, at the first large operation of a thread: call this before.

    Returns:
        whether the processor can do it.
    """
    return torch.set_flush_denormal(True)
