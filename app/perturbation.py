"""Noise on one image's heads: what the Heads and Pixels pages ask of sfcore, cached."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app.session import PATHS, DetectorChoice, Studio, load_detector, outputs_of, remembered
from sfcore.detectors.base import Head
from sfcore.resources import cache
from sfcore.sensitivity.element_map_worker import MapRequest, ask
from sfcore.sensitivity.elements import Grain, element_map
from sfcore.sensitivity.noise import Noise, perturb
from sfcore.tasks.base import Distortion

LEVELS = tuple(float(f"{v:.2g}") for v in np.geomspace(0.001, 1.0, 31))  # ten steps a decade
DEFAULT_LEVEL = LEVELS[17]  # 5 %: what 8 bits may leave on a head, and enough to be seen
Scores = dict[str, tuple[float, float, float]]  # of each head: mean, 5 % and 95 % quantile
RERUNS = 20  # draws of noise behind each bar of the ranking
MOST_MOVES = 12_000  # of an element map: heads with more elements are moved in blocks
PATIENCE = 60.0  # seconds that it may take where decoding is slow
LEAST_MOVES = 400
QUICK = 0.8  # seconds that an element map may take for the page to wait for it
TIMED = 64  # predictions that are decoded to know how long many take


@dataclass(frozen=True)
class Moved:
    """The predictions about one image before and after noise, of one draw or several, and their distortion."""

    before: Any
    after: Any
    distortion: Distortion


def with_noise(
    view: Studio,
    head: str,
    noise: Noise,
    seeds: Sequence[int],
    mask: Tensor | None = None,
    error: Tensor | None = None,
) -> Moved:
    """Perturb one head of the shown image, decode, and score against the prediction without noise.

    Args:
        seeds: one of each draw.
        mask: which elements of the head are perturbed; all when None.
        error: the head's recorded quantization error, for replay.
    """
    detector, outputs = view.detector, view.outputs()
    draws = [perturb(outputs, head, noise, torch.Generator().manual_seed(s), mask=mask, error=error) for s in seeds]
    many = {name: torch.cat([draw[name] for draw in draws]) for name in outputs}
    before, after = detector.decode(outputs), detector.decode(many)
    return Moved(before, after, detector.task.distortion(before, after))


@st.cache_data(max_entries=4096, show_spinner=False, hash_funcs=PATHS)
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
        scores = detector.task.distortion(reference, detector.decode(noisy)).score.numpy()
        low, high = np.quantile(scores, (0.05, 0.95))
        found[head.name] = (float(scores.mean()), float(low), float(high))
    return found


def most_sensitive(view: Studio) -> str:
    """The head that moves what is found in the shown image most at the default noise: where a first visit starts."""
    found = scores_at(*view.key, Noise("gaussian", DEFAULT_LEVEL), 0)
    return max(found, key=lambda head: found[head][0])


def grain_of(view: Studio, head: Head) -> Grain:
    """How fine the element map of a head can be without taking too long."""
    most = int(PATIENCE / (2 * decode_seconds(*view.key)))
    return Grain.within(head, view.outputs()[head.name].shape[1:], min(MOST_MOVES, max(most, LEAST_MOVES)))


def elements_of(view: Studio, head: Head, level: float) -> Tensor | float:
    """The element map of one head on the shown image; while a process measures it, the share that is done.

    Raises:
        InputError: it cannot be measured.
    """
    outputs, grain = view.outputs(), grain_of(view, head)
    moves = 2 * len(grain.members(outputs[head.name].shape[1:], view.detector.confidence(outputs, head.name)[0]))
    if moves * decode_seconds(*view.key) > QUICK:
        request = MapRequest(view.choice.name, view.choice.weights, outputs, head.name, level, grain, view.choice.key)
        return ask(cache() / "elements", request)
    key = ("elements", *view.key, head.name, level)
    return remembered(key, lambda: element_map(view.detector, outputs, head.name, level, grain=grain))


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=PATHS)
def decode_seconds(choice: DetectorChoice, image: Path, stamp: float) -> float:
    """What it takes to decode and score one prediction of many, on this machine."""
    detector, outputs = load_detector(choice), outputs_of(choice, image, stamp)
    many = {name: value.expand(TIMED, *value.shape[1:]) for name, value in outputs.items()}
    reference, took = detector.decode(outputs), []
    for _ in range(3):  # the first time may be slow
        start = time.perf_counter()
        detector.task.distortion(reference, detector.decode(many))
        took.append(time.perf_counter() - start)
    return min(took) / TIMED
