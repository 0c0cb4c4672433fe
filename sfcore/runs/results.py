"""What a run made: its models, and how their predictions agree with the full-precision ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sfcore.datasets.dataset import LabelledFrame, labelled_frames
from sfcore.datasets.images import ImageSet, image_set
from sfcore.detectors import registry
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import figures_of
from sfcore.evaluation.inference import decoded
from sfcore.evaluation.metric import METRICS, Score
from sfcore.files import plain
from sfcore.quant.convert import convert
from sfcore.quant.cost import Cost, Profile
from sfcore.runs.folder import RunFolder
from sfcore.tasks.base import Agreement, Task

Progress = Callable[[int, int], None]
ModelName = Literal["full", "calibrated", "tuned"]
FILES: dict[ModelName, str] = {"calibrated": "calibrated", "tuned": "model"}  # in the run folder


@dataclass(frozen=True)
class Comparison:
    """Agreement of a run's two quantized models with full precision.

    Attributes:
        images: how many were compared.
        calibrated, tuned: over all images; ``tuned`` is None when the run only calibrated or is not done.
        sources: the same by source, in the order given.
        labels: what the labels' metric says of each model where it ranks objects by confidence, and so says more than
            agreement does; over the images that have labels, empty where none has.
    """

    images: int
    calibrated: Agreement
    tuned: Agreement | None
    sources: dict[str, Comparison]
    labels: dict[ModelName, Score]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what the labels say stands beside the agreement."""
        labels: dict[ModelName, Any] = plain(self.labels)
        content: dict[str, Any] = {"images": self.images} | ({"full": labels["full"]} if labels else {})
        content["calibrated"] = self.calibrated.to_dict() | labels.get("calibrated", {})
        content["tuned"] = self.tuned.to_dict() | labels.get("tuned", {}) if self.tuned else None
        if self.sources:
            content["sources"] = {name: part.to_dict() for name, part in self.sources.items()}
        return content


def recorded_cost(folder: RunFolder) -> Cost | None:
    """What a run's scheme costs its detector, as the run wrote it down; None where it has not begun, or was of an
    earlier version."""
    content = folder.record().get("scheme")
    return Cost.from_dict(content) if content else None


def cost_of(folder: RunFolder) -> Cost:
    """The same, counted where the run wrote nothing down.

    Raises:
        InputError: see :func:`load_model`.
    """
    recorded, spec = recorded_cost(folder), folder.spec
    return recorded or Profile.of(load_model(folder, "full"), spec.transforms).cost(spec.full_scheme())


def models_of(folder: RunFolder) -> list[ModelName]:
    """Which quantized models a run has made so far."""
    return [name for name, file in FILES.items() if folder.has_tensors(file)]


def load_model(folder: RunFolder, which: ModelName, device: torch.device | str = "cpu") -> Detector:
    """A run's detector: at full precision, or one of its quantized models.

    Raises:
        InputError: the run has not come that far, its files are missing or damaged, or its checkpoint has changed.
    """
    spec = folder.spec
    folder.check_weights()
    detector = registry.create(spec.detector, spec.weights, device, spec.weights_key)
    return detector if which == "full" else quantized_model(folder, which, detector)


def quantized_model(folder: RunFolder, which: ModelName, detector: Detector) -> Detector:
    """One of a run's quantized models, made of the run's full-precision detector, which is left as it is.

    Raises:
        InputError: see :func:`load_model`.
    """
    return filled(converted(folder, detector), folder, which)


def converted(folder: RunFolder, detector: Detector) -> Detector:
    """What both of a run's quantized models are made of: its full-precision detector with layers that can be quantized,
    not calibrated yet; a copy."""
    return convert(detector, folder.spec.full_scheme(), folder.spec.transforms)


def filled(model: Detector, folder: RunFolder, which: ModelName) -> Detector:
    """One of a run's quantized models, made of what :func:`converted` gives, which is changed.

    Raises:
        InputError: see :func:`load_model`.
    """
    spec, (state, _) = folder.spec, folder.load_tensors(FILES[which])
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(
            f"{folder.path} holds a model that does not fit {spec.detector} ({first}): run it anew"
        ) from error
    return model.to(model.device).eval()


def compare(
    folder: RunFolder,
    sources: Sequence[Path | str],
    limit: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Comparison:
    """Compare a run's models with full precision on some images.

    Raises:
        InputError: the run has no calibrated model yet, or an image cannot be read.
    """
    chosen = image_set(sources, limit, registry.entry(folder.spec.detector).input.formats)
    names: list[ModelName] = ["full", "calibrated"]
    if folder.has_tensors("model"):
        names.append("tuned")
    predictions: dict[ModelName, Any] = {}
    candidates: dict[ModelName, Any] = {}
    labelled = _ranked(labelled_frames(sources, registry.entry(folder.spec.detector).sample.task_name))
    for index, name in enumerate(names):

        def report(done: int, total: int, before: int = index) -> None:
            if progress:
                progress(before * total + done, len(names) * total)

        model = load_model(folder, name, device)
        ways = [model.decode, model.candidates] if labelled else [model.decode] * 2
        predictions[name], candidates[name] = decoded(model, chosen.files, ways, report)
    judged = _Judged(model.task, predictions, candidates, [labelled.get(file) for file in chosen.files])
    return _comparison(judged, chosen, [str(source) for source in sources])


def _ranked(labelled: dict[Path, LabelledFrame]) -> dict[Path, LabelledFrame]:
    """The frames whose metric ranks objects by confidence."""
    return {path: (dataset, frame) for path, (dataset, frame) in labelled.items() if METRICS[dataset.metric].ranked}


@dataclass(frozen=True)
class _Judged:
    """Each model's predictions, with and without what is unsure, and the labels of the images that have some."""

    task: Task[Any]
    predictions: dict[ModelName, Any]
    candidates: dict[ModelName, Any]
    labelled: list[LabelledFrame | None]

    def agreement(self, name: ModelName, which: list[int]) -> Agreement | None:
        if name not in self.predictions:
            return None
        return self.task.agreement(self.predictions["full"][which], self.predictions[name][which])

    def labels(self, which: list[int]) -> dict[ModelName, Score]:
        """Empty where no image has labels, and where they are of several metrics or classes."""
        held = {place: found for place in which if (found := self.labelled[place])}
        if len({(dataset.metric, dataset.names) for dataset, _ in held.values()}) != 1:
            return {}
        frames = list(held.values())
        return {name: figures_of(self.task, frames, found[list(held)]) for name, found in self.candidates.items()}


def _comparison(judged: _Judged, chosen: ImageSet, sources: Sequence[str]) -> Comparison:
    def over(which: list[int], parts: dict[str, Comparison]) -> Comparison:
        calibrated = judged.agreement("calibrated", which)
        assert calibrated is not None  # it is always compared
        return Comparison(len(which), calibrated, judged.agreement("tuned", which), parts, judged.labels(which))

    places = {name: [i for i, s in enumerate(chosen.source_index) if s == n] for n, name in enumerate(sources)}
    return over(list(range(len(chosen))), {name: over(which, {}) for name, which in places.items() if which})
