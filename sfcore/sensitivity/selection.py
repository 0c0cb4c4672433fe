"""Sensitivity Aware Selection (Selective Focus, section 4.3 and Algorithm 1): which heads to tune on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.sensitivity.curves import Curves


def select(scores: Mapping[str, float], k: int, *, least: bool = False) -> tuple[str, ...]:
    """The ``k`` heads with the highest scores, most sensitive first; equal scores go by name.

    Args:
        least: take those with the lowest scores instead, least sensitive first: a control.

    Raises:
        InputError: k is not between 1 and the number of heads.
    """
    _check_k(k, list(scores))
    sign = 1 if least else -1
    return tuple(sorted(scores, key=lambda head: (sign * scores[head], head))[:k])


def randomly(heads: Sequence[str], k: int, generator: torch.Generator) -> tuple[str, ...]:
    """Any ``k`` of the heads, whatever they do: a control.

    Raises:
        InputError: k is not between 1 and the number of heads.
    """
    _check_k(k, heads)
    return tuple(heads[index] for index in torch.randperm(len(heads), generator=generator)[:k].tolist())


def _check_k(k: int, heads: Sequence[str]) -> None:
    if not 1 <= k <= len(heads):
        raise InputError(f"k = {k}: choose 1 to {len(heads)}, the number of heads ({', '.join(heads)})")


def fast_scores(curves: Curves, noise_levels: Mapping[str, float]) -> dict[str, float]:
    """The distortion that each head causes at its present noise level, read off its noise-score curve.

    Raises:
        InputError: a head has no curve.
    """
    missing = [head for head in noise_levels if head not in curves.curves]
    if missing:
        raise InputError(
            f"no noise-score curve for {', '.join(missing)}: the curves hold {', '.join(curves.curves)}. "
            "Draw the curves of this detector."
        )
    return {head: curves.curves[head](level) for head, level in noise_levels.items()}


@torch.no_grad()
def exact_scores(detector: Detector, full: Outputs, quantized_outputs: Outputs, batch: int = 256) -> dict[str, float]:
    """The distortion that each head's quantization causes alone: Algorithm 1, averaged over images.

    Head i's output is replaced by the quantized model's, everything else stays at full precision, and the
    decoded prediction is scored against the full-precision one.

    Args:
        full, quantized_outputs: head outputs of the same images.
        batch: images decoded at once.

    Example:
        >>> from sfcore.datasets.images import find_images, read_images
        >>> from sfcore.detectors.registry import create
        >>> from sfcore.quant import Scheme, quantize
        >>> from sfcore.resources import sample_data
        >>> detector = create("ganet-tiny")
        >>> batch = detector.preprocess(read_images(find_images([sample_data() / "scenes"], limit=4)))
        >>> with torch.no_grad():
        ...     full, low = detector(batch), quantize(detector, Scheme.parse("W4A4"), [batch])(batch)
        >>> sorted(exact_scores(detector, full, low))
        ['cpts', 'error', 'kpts', 'offset']
    """
    totals = {head.name: 0.0 for head in detector.heads}
    images = len(next(iter(full.values())))
    for start in range(0, images, batch):
        part = {name: value[start : start + batch] for name, value in full.items()}
        reference = detector.decode(part)
        for head in totals:
            replaced = {**part, head: quantized_outputs[head][start : start + batch]}
            totals[head] += float(detector.task.distortion(reference, detector.decode(replaced)).score.sum())
    return {head: total / max(images, 1) for head, total in totals.items()}
