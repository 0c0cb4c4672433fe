"""What is said of several models on the same frames: against full precision and against labels. Pages and reports."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.colours import CALIBRATED, FULL, MOVED
from sfcore.datasets.dataset import Dataset, Frame, Label, Predictions
from sfcore.detectors.base import Image
from sfcore.errors import InputError
from sfcore.evaluation.evaluate import Evaluation, evaluate
from sfcore.evaluation.metric import METRICS, Score, nothing_to_find
from sfcore.present.figures.scores import Series
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName, models_of
from sfcore.runs.shipped import ships
from sfcore.tasks.base import Agreement, Prediction, Task

Size = tuple[int, int]  # height, width
COLOURS: dict[ModelName, str] = {"full": FULL, "calibrated": CALIBRATED, "tuned": MOVED}


@dataclass(frozen=True)
class Model:
    """One of the compared models.

    Attributes:
        which: of its run.
        run: None for full precision, and for a model that was made on the spot.
        second: it belongs to the second of two runs.
    """

    which: ModelName = "full"
    run: RunFolder | None = None
    second: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        plain = "full precision" if self.which == "full" else self.which
        return f"{plain}, run 2" if self.second else plain

    @property
    def colour(self) -> str:
        """What it has everywhere in the app."""
        return COLOURS[self.which]


def measure_title(measure: str) -> str:
    """The name of a metric's measure as people write it: F1, TP, Accuracy, AP50, Vehicle AP."""
    words = [word.upper() if len(word) < 3 or word.startswith("ap") else word for word in measure.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def calibration_overlap(run: RunFolder, files: Sequence[Path], digest: Callable[[Path], str]) -> int | None:
    """How many files are among the images that a run was calibrated on, by content; None when unknown.

    Args:
        digest: a hash of one image file's content.
    """
    if ships(run):
        return 0
    try:
        return overlap(run.spec.image_set().files, files, digest)
    except (InputError, OSError):
        return None


def overlap(known: Sequence[Path], files: Sequence[Path], digest: Callable[[Path], str]) -> int:
    """How many files have the content of one that is known; for ``digest`` see :func:`calibration_overlap`."""
    contents = {digest(path) for path in known}
    return sum(digest(file) in contents for file in files)


def compared_models(run: RunFolder, second: RunFolder | None = None) -> list[Model]:
    """Full precision, the models of a run, and those of a second one."""
    first = [Model(which, run) for which in models_of(run)]
    return [Model(), *first, *(Model(which, second, True) for which in (models_of(second) if second else []))]


@dataclass(frozen=True)
class ModelScores:
    """How one model does on some frames.

    Attributes:
        agreement: with the full-precision predictions, over all frames.
        scenarios: the same for each scenario that is known.
        distortion: distortion score of each frame, by its name.
        labels: what the dataset's metric says of it; None without labels.
    """

    agreement: Agreement
    scenarios: dict[str, Agreement]
    distortion: dict[str, float]
    labels: Evaluation | None

    def measures(self) -> dict[str, Score]:
        """All measures in total and by scenario: against labels, and where there are none against full precision."""
        if self.labels:
            return {"total": self.labels.total, **self.labels.scenarios}
        agreed = {"total": self.agreement, **self.scenarios}
        return {name: each.scores() for name, each in agreed.items()}

    def worst(self, order: str) -> list[str]:
        """All frames by name, worst first: by "distortion", or by what the metric says of them against "labels"."""
        if order == "labels" and self.labels:
            return self.labels.worst(len(self.labels.frames))
        return sorted(self.distortion, key=lambda name: -self.distortion[name])

    def of_frame(self, name: str) -> float | None:
        """The metric's headline measure on one frame; None without a label."""
        if self.labels is None or name not in self.labels.frames:
            return None
        return METRICS[self.labels.metric]().summary([self.labels.frames[name]])[self.labels.headline]


@dataclass(frozen=True)
class Comparison:
    """All models on the same frames.

    Attributes:
        frames: those that could be read.
        scores: of each model, by its name; full precision first.
        problems: what was wrong with the others and with labels, by the frame's name.
    """

    frames: tuple[Frame, ...]
    scores: dict[str, ModelScores]
    problems: dict[str, str]

    @property
    def labelled(self) -> bool:
        """Whether there are labels to hold the models against."""
        return all(each.labels for each in self.scores.values())


class PredictionsInMemory(Predictions):
    """Predictions that no file holds, for a metric that reads them."""

    def __init__(self) -> None:
        self._objects: dict[str, list[np.ndarray]] = {}

    def done(self) -> set[str]:
        return set(self._objects)

    def write(self, frame: Frame, objects: Sequence[np.ndarray], label: Label | None, milliseconds: float) -> None:
        self._objects[frame.name] = list(objects)

    def read(self, frame: Frame) -> list[np.ndarray]:
        return self._objects[frame.name]


def compare_models(
    task: Task[Any],
    dataset: Dataset,
    frames: Sequence[Frame],
    predictions: Mapping[str, Any],
    problems: Mapping[str, str],
    ranked: Mapping[str, Any] | None = None,
) -> Comparison:
    """Score models on the same frames, against the first of them and against labels.

    Args:
        task: of the models.
        predictions: of each model on all frames, by its name; the first model is the full-precision one.
        problems: what was wrong with frames that are left out, by their names.
        ranked: the same as ``predictions`` with unsure objects, for metrics of labels that ask for them: see
            :func:`ranks`.
    """
    reference, damaged = next(iter(predictions.values())), dict(problems)
    judged = dataset.labelled(task.name)
    labelled = _labelled(judged, frames, damaged) if judged else []
    scores = {
        name: ModelScores(
            *_agreement(task, frames, dataset.scenarios, reference, found),
            _against_labels(task, judged, labelled, frames, (ranked or predictions)[name])
            if judged and labelled
            else None,
        )
        for name, found in predictions.items()
    }
    return Comparison(tuple(frames), scores, damaged)


def ranks(task: Task[Any], dataset: Dataset) -> bool:
    """Whether the metric of a dataset's labels of a task goes through all confidences."""
    judged = dataset.labelled(task.name)
    return bool(judged and judged.metric and METRICS[judged.metric].ranked)


def _agreement(
    task: Task[Any], frames: Sequence[Frame], names: Sequence[str], reference: Any, found: Any
) -> tuple[Agreement, dict[str, Agreement], dict[str, float]]:
    """The scores of a model that need no labels; ``names`` are the scenarios."""
    groups = {name: [i for i, frame in enumerate(frames) if frame.scenario == name] for name in names}
    scenarios = {name: task.agreement(reference[places], found[places]) for name, places in groups.items() if places}
    scores = task.distortion(reference, found).score.tolist()
    each = {frame.name: score for frame, score in zip(frames, scores, strict=True)}
    return task.agreement(reference, found), scenarios, each


def _labelled(dataset: Dataset, frames: Sequence[Frame], problems: dict[str, str]) -> list[Frame]:
    """The frames that have labels; what is wrong with damaged ones is added to ``problems``."""
    found = []
    for frame in frames:
        try:
            if dataset.label(frame) is not None:
                found.append(frame)
        except InputError as error:
            problems[frame.name] = str(error)
    return found


def _against_labels(
    task: Task[Any], dataset: Dataset, labelled: list[Frame], frames: Sequence[Frame], found: Prediction
) -> Evaluation:
    few, predictions, named = copy.copy(dataset), PredictionsInMemory(), task.in_classes(found, dataset.names)
    few.frames = labelled
    for place, frame in enumerate(frames):
        predictions.write(frame, named[place].resized(dataset.size(frame)).objects(0), None, 0.0)
    return evaluate(few, predictions)


def series(models: Sequence[Model], comparison: Comparison, measure: str) -> list[Series]:
    """Each model's bars of one measure, in total and by scenario; without labels none for full precision."""
    shown = models if comparison.labelled else models[1:]
    each = {model.name: comparison.scores[model.name].measures() for model in shown}
    return [Series(m.name, m.colour, _defined(each[m.name], measure), m.second) for m in shown]


def _defined(groups: dict[str, Score], measure: str) -> dict[str, float | None]:
    """One measure of each group, None where there was nothing to find, or nothing to score."""
    return {
        name: None if nothing_to_find(score) or math.isnan(score[measure]) else score[measure]
        for name, score in groups.items()
    }


def draw(
    task: Task[Any], canvas: Image, model: Model, before: Any, after: Any, labels: Sequence[np.ndarray], size: Size
) -> Image:
    """One model's prediction over a frame, against the full-precision one.

    Args:
        before, after: full-precision prediction and the model's, one frame each.
        labels: labelled objects in the coordinates of a frame of ``size`` (height, width); empty for none.
    """
    if model.which == "full":
        picture = task.draw(canvas, after)
    else:
        picture = task.draw_moved(canvas, before, after, task.distortion(before, after))
    return task.draw_labels(picture, labels, before.resized(size)) if labels else picture


def labelled_objects(task: Task[Any], dataset: Dataset, frame: Frame) -> list[np.ndarray]:
    """The labelled objects of a frame in its own coordinates, to be drawn; none where its label cannot be read."""
    try:
        judged = dataset.labelled(task.name)
        label = judged.label(frame) if judged else None
    except InputError:
        return []
    return label.objects if label else []
