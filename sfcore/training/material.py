"""What detectors are trained on, by the kind of their input: rendered scenes, rendered sweeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sfcore.datasets import lidar, scenes
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.inputs.base import InputSpec
from sfcore.inputs.images import Preprocessing
from sfcore.inputs.points import PointCloud
from sfcore.training.augment import Augmentation
from sfcore.training.data import render_scenes
from sfcore.training.loop import Samples
from sfcore.training.scoring import score
from sfcore.training.sweeps import SweepAugmentation, made_sweep, render_sweeps, score_sweeps

Progress = Callable[[int, int], None]


class Scored(Protocol):
    """How well a detector does on what it has not seen; a frozen dataclass of numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def rounded(self) -> dict[str, float]:
        """What is kept with weights."""


@dataclass(frozen=True)
class Material:
    """One kind.

    Attributes:
        words: what it is called: "rendered scenes, version 9".
        render: of a detector, how many, from which seed on, a callback of how far it is: the samples.
        augment: makes random views of a sample.
        score: of a detector, on the seeds of a range.
        about: what of a detector's input is kept with its weights.
    """

    words: str
    render: Callable[[Detector, int, int, Progress | None], Samples[Any]]
    augment: Any
    score: Callable[[Detector, range], Scored]
    about: Callable[[Any], dict[str, str]]


def _about_images(spec: Preprocessing) -> dict[str, str]:
    sizes = {"input_size": spec.size, "mean": spec.mean, "std": spec.std}
    return {name: json.dumps(value) for name, value in sizes.items()} | {"order": spec.order}


def _about_points(spec: PointCloud) -> dict[str, str]:
    sizes = {"extent": spec.extent, "heights": spec.heights, "pillar": spec.pillar, "most": spec.most}
    return {name: json.dumps(value) for name, value in sizes.items()}


def _score_scenes(detector: Detector, seeds: range) -> Scored:
    return score(detector, [scenes.render(seed, size=detector.frame) for seed in seeds])


def _render_sweeps(detector: Detector, count: int, seed: int, progress: Progress | None) -> Samples[Any]:
    assert isinstance(detector.preprocessing, PointCloud)
    return render_sweeps(detector.preprocessing, count, seed, progress)


def _score_sweeps(detector: Detector, seeds: range) -> Scored:
    return score_sweeps(detector, [made_sweep(seed) for seed in seeds])


MATERIALS: dict[type[InputSpec], Material] = {
    Preprocessing: Material(
        f"rendered scenes, version {scenes.VERSION}", render_scenes, Augmentation(), _score_scenes, _about_images
    ),
    PointCloud: Material(
        f"rendered sweeps, version {lidar.VERSION}", _render_sweeps, SweepAugmentation(), _score_sweeps, _about_points
    ),
}


def material(detector: Detector) -> Material:
    """What ``detector`` is trained on.

    Raises:
        InputError: nothing is rendered of the kind that it reads.
    """
    spec = detector.preprocessing
    if type(spec) not in MATERIALS:
        kinds = " or ".join(each.kind for each in MATERIALS)
        raise InputError(f"nothing is rendered for detectors that read {spec.kind}: choose one that reads {kinds}")
    return MATERIALS[type(spec)]
