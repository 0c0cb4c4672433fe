"""Uniform: the same bits for all layers, as many as the budget has."""

from __future__ import annotations

import numpy as np

from sfcore.quant.allocate.base import STRATEGIES, Choices


@STRATEGIES.register("uniform")
def uniform(choices: Choices) -> np.ndarray:
    """The largest width that, for weights and activations of every layer, keeps all limits; a layer that may not have
    so few bits, such as a first or last one, has its own fewest, and so have the activations of those tied to it."""
    choices.check()
    widths = sorted(set(choices.activations.tolist()), reverse=True)
    for width in widths:
        chosen = np.array([_nearest(choices, layer, width) for layer in range(choices.layers)])
        for group in choices.tied:
            shared, most = choices.shared(group), int(choices.activations[chosen[list(group)]].max())
            bits = next((bits for bits in shared if bits >= most), shared[-1])
            for layer in group:
                chosen[layer] = _nearest(choices, layer, int(choices.weights[chosen[layer]]), bits)
        if choices.fits(chosen):
            return chosen
    use = choices.use[:, chosen].sum(1)
    worst = int(use.argmax())
    raise choices.refusal(choices.limits[worst], float(use[worst]))


def _nearest(choices: Choices, layer: int, width: int, activations: int | None = None) -> int:
    """The choice of a layer with that width, or with the next larger ones, or its largest.

    Args:
        activations: the bits of these, where they are given.
    """

    def away(index: int) -> tuple[bool, int]:
        bits = [b for b in (int(choices.weights[index]), int(choices.activations[index])) if b]
        return any(b < width for b in bits), sum(abs(b - width) for b in bits)

    of = [index for index in choices.of(layer).tolist() if activations in (None, choices.activations[index])]
    return min(of, key=away)
