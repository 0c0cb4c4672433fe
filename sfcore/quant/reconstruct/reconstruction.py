"""What the tuner needs of whatever is reconstructed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from sfcore.quant.reconstruct.cache import Cache


class Reconstruction(Protocol):
    """The reconstruction of one unit: the batches and the loss of each step.

    Attributes:
        cache: what must be recorded before the first step; None when nothing is.
    """

    @property
    def cache(self) -> Cache | None: ...

    def draw(self, iteration: int, generator: torch.Generator, masks: torch.Generator) -> Any:
        """What a step is taken on; the network is in its ordinary state meanwhile.

        Args:
            generator: on the CPU; decides which images, and how they are augmented.
            masks: on the network's device; decides which activations are dropped, and the jitter.
        """

    def parts(self, batch: Any) -> Iterable[tuple[float, Any]]:
        """A drawn batch in parts small enough for the memory, and the share of each in the batch's loss."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Any]]:
        """What to minimise on a part of a batch, and what to write down about it: ``terms``, of which it is the sum.

        Numbers among it stay tensors () on the network's device, for reading one waits for all that comes before.
        """

    def state(self) -> dict[str, Tensor]:
        """What the remaining steps depend on, beside the network."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on as the one whose :meth:`state` this is."""
