"""Which device to compute on."""

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
