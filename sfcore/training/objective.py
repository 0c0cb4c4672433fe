"""What a family of detectors brings to training: its targets and its loss. Registered by detector name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

import sfcore.training as package
from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.lanes import Polyline

Targets = dict[str, Tensor]


class Objective(Protocol):
    """Targets and loss of one detector."""

    def targets(self, lanes: Sequence[Sequence[Polyline]]) -> Targets:
        """What the network should say about each image, batch first; lanes are in pixels of the detector's frame."""

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """The parts of the loss, already weighted: their sum is minimised."""


_builders: dict[str, Callable[[Detector], Objective]] = {}


def register(*names: str) -> Callable[[Callable[[Detector], Objective]], Callable[[Detector], Objective]]:
    """Decorator: ``@register("ganet-tiny")`` over a class or function that makes the objective of a detector."""

    def add(build: Callable[[Detector], Objective]) -> Callable[[Detector], Objective]:
        _builders.update(dict.fromkeys(names, build))
        return build

    return add


def trainable() -> list[str]:
    """Names of the detectors that can be trained here."""
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_builders)


def objective(name: str, detector: Detector) -> Objective:
    """The objective that trains ``detector``, called ``name``.

    Raises:
        InputError: no objective is registered under this name.
    """
    names = trainable()
    if name not in names:
        raise InputError(f"{name!r} cannot be trained here: choose one of {', '.join(names)}")
    return _builders[name](detector)
