"""Uniform: the same bits for all layers, as many as the budget has."""

from __future__ import annotations

import numpy as np

from sfcore.quant.allocate.base import STRATEGIES, Choices


@STRATEGIES.register("uniform")
def uniform(choices: Choices) -> np.ndarray:
    """The largest width that, for weights and activations of every layer, keeps all limits; a layer that may not have
    so few bits, such as a first or last one, has its own fewest."""
    choices.check()
    widths = sorted(set(choices.activations.tolist()), reverse=True)
    for width in widths:
        chosen = np.array([_nearest(choices, layer, width) for layer in range(choices.layers)])
        for group in choices.tied:
            most = int(choices.activations[chosen[list(group)]].max())
            for layer in group:
                chosen[layer] = choices.place.get((layer, int(choices.weights[chosen[layer]]), most), chosen[layer])
        if choices.fits(chosen):
            return chosen
    use = choices.use[:, chosen].sum(1)
    worst = int(use.argmax())
    raise choices.refusal(choices.limits[worst], float(use[worst]))


def _nearest(choices: Choices, layer: int, width: int) -> int:
    """The choice of a layer with that width, or with the next larger ones, or its largest."""

    def away(index: int) -> tuple[bool, int]:
        bits = [b for b in (int(choices.weights[index]), int(choices.activations[index])) if b]
        return any(b < width for b in bits), sum(abs(b - width) for b in bits)

    return min(choices.of(layer).tolist(), key=away)
