"""What is chosen among, what every strategy is, and the registry of them. One more is one more file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from sfcore.errors import InputError
from sfcore.quant.budget import Limit
from sfcore.registries import Registry

ROUNDING = 1e-9  # by which sums may be above a limit


@dataclass(frozen=True, eq=False)
class Choices:
    """What each layer may get, what that does and what it takes.

    Attributes:
        layer: (N,) the layer of each choice, rising from 0; each layer has at least one.
        weights, activations: (N,) its bits; a product of activations has 0 for its weights.
        harm: (N,) what the choice does alone; harms of layers add up.
        use: (K, N) what it takes of each limit, as a share of it.
        limits: those K, whose names and amounts messages tell.
        tied: layers whose activations must have the same bits.
    """

    layer: np.ndarray
    weights: np.ndarray
    activations: np.ndarray
    harm: np.ndarray
    use: np.ndarray
    limits: tuple[Limit, ...]
    tied: tuple[tuple[int, ...], ...] = ()

    @property
    def layers(self) -> int:
        """How many layers there are."""
        return int(self.layer[-1]) + 1

    @cached_property
    def place(self) -> dict[tuple[int, int, int], int]:
        """The index of the choice of a layer and its bits."""
        keys = zip(self.layer.tolist(), self.weights.tolist(), self.activations.tolist(), strict=True)
        return {key: index for index, key in enumerate(keys)}

    def of(self, layer: int) -> np.ndarray:
        """The choices of one layer."""
        return np.flatnonzero(self.layer == layer)

    def fits(self, chosen: np.ndarray) -> bool:
        """Whether (L,) choices, one a layer, keep all limits and ties."""
        within = bool((self.use[:, chosen].sum(1) <= 1 + ROUNDING).all())
        return within and all(len(set(self.activations[chosen[list(group)]].tolist())) == 1 for group in self.tied)

    def check(self) -> None:
        """Refuse limits that cannot be met.

        Raises:
            InputError: there is such a limit; the message says the least that can be.
        """
        for limit, use in zip(self.limits, self.use, strict=True):
            least = sum(float(use[self.of(layer)].min()) for layer in range(self.layers))
            if not least <= 1 + ROUNDING:
                raise self.refusal(limit, least)

    def refusal(self, limit: Limit, least: float) -> InputError:
        """That a limit cannot be met when at least ``least`` of it is taken."""
        can = limit.amount(least) if np.isfinite(least) else f"more than {limit.quantity.format(limit.fixed)}"
        return InputError(
            f"the budget {limit.name} cannot be met: the least that can be is {can}. Give more, or smaller candidates"
        )


class Strategy(Protocol):
    """Chooses for each layer.

    Returns:
        (L,) the index of the choice of each layer, in the order of layers.

    Raises:
        InputError: nothing fits.
    """

    def __call__(self, choices: Choices) -> np.ndarray: ...


STRATEGIES: Registry[Strategy] = Registry("strategy", "sfcore.quant.allocate")


def cheapest(choices: Choices) -> np.ndarray:
    """(L,) the fewest bits of every layer, ties kept.

    Raises:
        InputError: a layer that is tied to another has none of its bits.
    """
    order = choices.weights * 64 + choices.activations
    chosen = np.array([of[order[of].argmin()] for of in map(choices.of, range(choices.layers))])
    for group in choices.tied:
        shared = _shared(choices, group)
        if not shared:
            raise InputError("layers that must share their bits have none in common: give more candidates")
        for layer in group:
            of = [index for index in choices.of(layer) if choices.activations[index] == min(shared)]
            chosen[layer] = min(of, key=lambda index: choices.weights[index])
    return chosen


def _shared(choices: Choices, group: Sequence[int]) -> set[int]:
    """The bits of activations that all layers of a group can have."""
    each = [set(choices.activations[choices.of(layer)].tolist()) for layer in group]
    return set.intersection(*each)
