"""Which device to compute on, and how its processor treats numbers next to nothing."""

from __future__ import annotations

import torch

from sfcore.errors import InputError

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


def flush_denormals() -> bool:
    """Let this thread take denormal numbers, those below 1.2e-38, for zero, as GPUs do.

    A CPU computes with them some 40 times slower, and decayed weights are full of them. A thread starts with what the
    one that starts it has; so do torch's own workers, at the first large operation of a thread: call this before.

    Returns:
        whether the processor can do it.
    """
    return torch.set_flush_denormal(True)
