"""Noise on one image's heads: what the Heads and Pixels pages ask of sfcore, cached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app.session import DetectorChoice, Studio, load_detector, outputs_of, remembered
from app.style import Bar
from sfcore.distortion import Distortion, distortion
from sfcore.lanes import Lanes
from sfcore.sensitivity.elements import element_map
from sfcore.sensitivity.noise import Noise, perturb

LEVELS = tuple(float(f"{v:.2g}") for v in np.geomspace(0.001, 1.0, 31))  # ten steps a decade
DEFAULT_LEVEL = LEVELS[17]  # 5 %: what 8 bits may leave on a head, and enough to be seen
Scores = dict[str, tuple[float, float, float]]  # of each head: mean, 5 % and 95 % quantile
RERUNS = 20  # draws of noise behind each bar of the ranking


@dataclass(frozen=True)
class Moved:
    """One image's lanes before and after noise, and the distortion between them."""

    before: Lanes
    after: Lanes
    distortion: Distortion


def with_noise(
    view: Studio, head: str, noise: Noise, seed: int, mask: Tensor | None = None, error: Tensor | None = None
) -> Moved:
    """Perturb one head of the shown image, decode, and score against the lanes without noise.

    Args:
        mask: which elements of the head are perturbed; all when None.
        error: the head's recorded quantization error, for replay.
    """
    detector, outputs = view.detector, view.outputs()
    noisy = perturb(outputs, head, noise, torch.Generator().manual_seed(seed), mask=mask, error=error)
    before, after = detector.decode(outputs), detector.decode(noisy)
    return Moved(before, after, distortion(before, after))


@st.cache_data(max_entries=4096, show_spinner=False)
def scores_at(
    choice: DetectorChoice,
    image: Path,
    stamp: float,
    noise: Noise,
    seed: int,
    replayed: str = "",
    _errors: dict[str, Tensor] | None = None,
) -> Scores:
    """For each head: mean, 5 % and 95 % quantile of the image's distortion over reruns of this noise on it.

    Args:
        stamp: when the image was written.
        replayed: names what ``_errors``, each head's recorded quantization error, was recorded from.
    """
    detector, outputs = load_detector(choice), outputs_of(choice, image, stamp)
    reference = detector.decode(outputs)
    many = {name: value.expand(RERUNS, *value.shape[1:]) for name, value in outputs.items()}
    found = {}
    for head in detector.heads:
        generator = torch.Generator().manual_seed(seed)
        noisy = perturb(many, head.name, noise, generator, error=(_errors or {}).get(head.name))
        scores = distortion(reference, detector.decode(noisy)).score.numpy()
        low, high = np.quantile(scores, (0.05, 0.95))
        found[head.name] = (float(scores.mean()), float(low), float(high))
    return found


def most_sensitive(view: Studio) -> str:
    """The head that moves the lanes of the shown image most at the default noise: where a first visit starts."""
    found = scores_at(*view.key, Noise("gaussian", DEFAULT_LEVEL), 0)
    return max(found, key=lambda head: found[head][0])


def elements_of(view: Studio, head: str, level: float) -> Tensor:
    """The element map of one head on the shown image, with a progress bar while it is measured."""

    def measure() -> Tensor:
        bar = Bar("Moving one element at a time")
        found = element_map(view.detector, view.outputs(), head, level, progress=bar)
        bar.close()
        return found

    return remembered(("elements", *view.key, head, level), measure)
