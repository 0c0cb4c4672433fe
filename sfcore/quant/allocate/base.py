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

    def shared(self, group: Sequence[int]) -> list[int]:
        """The bits of activations, rising, that all layers of a group can have.

        Raises:
            InputError: there are none.
        """
        found = set.intersection(*(set(self.activations[self.of(layer)].tolist()) for layer in group))
        if not found:
            raise InputError("layers that must share their bits have none in common: give more candidates")
        return sorted(found)

    def check(self) -> None:
        """Refuse limits and ties that cannot be met.

        Raises:
            InputError: there is such a limit, and the message says the least that can be; or tied layers have no bits
                in common.
        """
        alone = set(range(self.layers)) - {layer for group in self.tied for layer in group}
        groups = [(group, self.shared(group)) for group in (*self.tied, *((layer,) for layer in alone))]
        for limit, use in zip(self.limits, self.use, strict=True):
            least = sum(min(self._least(use, group, bits) for bits in shared) for group, shared in groups)
            if not least <= 1 + ROUNDING:
                raise self.refusal(limit, least)

    def _least(self, use: np.ndarray, group: Sequence[int], bits: int) -> float:
        """The least that layers take of a limit whose activations have those bits."""
        choices = [self.of(layer) for layer in group]
        return sum(float(use[each[self.activations[each] == bits]].min()) for each in choices)

    def refusal(self, limit: Limit, least: float) -> InputError:
        """That a limit cannot be met when at least ``least`` of it is taken."""
        can = limit.amount(least) if np.isfinite(least) else f"more than {limit.amount(0.0)}"
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
        least = choices.shared(group)[0]
        for layer in group:
            of = [index for index in choices.of(layer) if choices.activations[index] == least]
            chosen[layer] = min(of, key=lambda index: choices.weights[index])
    return chosen
