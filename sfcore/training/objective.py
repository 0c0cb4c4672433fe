"""What a family of detectors brings to training: its targets and its loss. Registered by detector name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.registries import Registry

Targets = dict[str, Tensor]


class Objective(Protocol):
    """Targets and loss of one detector."""

    def targets(self, objects: Sequence[Sequence[np.ndarray]], /) -> Targets:
        """What the network should say about each image, batch first.

        Args:
            objects: of each image, those of the detector's task in pixels of its frame.
        """

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        """The parts of the loss, already weighted: their sum is minimised."""


Builder = Callable[[Detector], Objective]
OBJECTIVES: Registry[Builder] = Registry("training objective for", "sfcore.training")


def register(*names: str) -> Callable[[Builder], Builder]:
    """Decorator: ``@register("ganet-tiny")`` over a class or function that makes the objective of a detector."""

    def add(build: Builder) -> Builder:
        for name in names:
            OBJECTIVES.register(name)(build)
        return build

    return add


def objective(name: str, detector: Detector) -> Objective:
    """The objective that trains ``detector``, called ``name``.

    Raises:
        InputError: no objective is registered under this name.
    """
    return OBJECTIVES[name](detector)
