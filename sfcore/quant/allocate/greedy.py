"""Greedy: from the fewest bits up, each time where a share of the budget takes most harm away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sfcore.quant.allocate.base import STRATEGIES, Choices, cheapest

_STEPS = ((1, 0), (0, 1), (1, 1))  # more bits of weights, of activations, of both


@STRATEGIES.register("greedy")
def greedy(choices: Choices) -> np.ndarray:
    """The next wider choice that takes most harm away for its use, again and again, until none fits; one that takes
    none away may be on the way to others."""
    choices.check()
    chosen = cheapest(choices)
    if not choices.fits(chosen):
        use = choices.use[:, chosen].sum(1)
        worst = int(use.argmax())
        raise choices.refusal(choices.limits[worst], float(use[worst]))
    while True:
        moves = [move for move in _moves(choices, chosen) if choices.fits(move)]
        gains = [_gain(choices, chosen, move) for move in moves]
        if not gains or max(gains) < 0:
            return chosen
        chosen = moves[int(np.argmax(gains))]


def _gain(choices: Choices, before: np.ndarray, after: np.ndarray) -> float:
    """Harm that a move takes away, by the largest share of a limit that it needs."""
    harm = float(choices.harm[before].sum() - choices.harm[after].sum())
    use = float((choices.use[:, after].sum(1) - choices.use[:, before].sum(1)).max(initial=0.0))
    return harm / max(use, 1e-12)


def _moves(choices: Choices, chosen: np.ndarray) -> Iterator[np.ndarray]:
    """What each layer, with those whose activations are tied to its, can be one step wider."""
    together = {layer: group for group in choices.tied for layer in group}
    groups = dict.fromkeys(together.get(layer, (layer,)) for layer in range(choices.layers))
    for group in groups:
        for wider, more in _STEPS:
            for some in [group] if more else [(layer,) for layer in group]:
                after = chosen.copy()
                for layer in some:
                    index, own = chosen[layer], choices.of(layer)
                    w, a = int(choices.weights[index]), int(choices.activations[index])
                    w = _next(choices.weights[own], w) if wider else w
                    key = (layer, w, _next(choices.activations[own], a) if more else a)
                    after[layer] = choices.place.get(key, -1)
                if (after >= 0).all() and (after != chosen).any():
                    yield after


def _next(widths: np.ndarray, bits: int) -> int:
    """The next larger of some widths, or the same where there is none."""
    return min((width for width in widths.tolist() if width > bits), default=bits)
