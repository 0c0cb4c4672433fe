"""A detector over a whole dataset: its objects are filed frame by frame, then scored by the dataset's official metric.

Both steps hold few images at a time, go on where they were interrupted, and name what is missing or damaged
instead of stopping at it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfcore.datasets.dataset import Dataset, Frame, Label, Predictions
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.evaluation.metric import METRICS, Metric, Score, Tally
from sfcore.inputs.base import InputSpec
from sfcore.tasks.base import TASKS, Task

BATCH = 8  # images in memory at a time, and as many being read

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Detected:
    """What a detector found in one frame.

    Attributes:
        objects: in the frame's own coordinates and the dataset's classes.
        milliseconds: that it needed.
    """

    frame: Frame
    objects: Sequence[np.ndarray]
    milliseconds: float


@dataclass(frozen=True)
class Evaluation:
    """What a metric says of predictions for a dataset.

    Attributes:
        metric: its name.
        headline: the figure of ``total`` that results are ranked by.
        total: its figures over all frames that could be scored; UNDEFINED where none could.
        scenarios: the same for each scenario that the dataset names.
        frames: what each frame adds to the sums, by its name.
        problems: what was missing or damaged, by the frame's name; those frames are in no figure.
    """

    metric: str
    headline: str
    total: Score
    scenarios: dict[str, Score]
    frames: dict[str, Tally]
    problems: dict[str, str]

    def worst(self, most: int) -> list[str]:
        """Names of the frames that do worst by the headline figure, of equals those with more wrong objects first."""
        metric = METRICS[self.metric]()
        return sorted(self.frames, key=lambda name: metric.merit(self.frames[name]))[:most]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the single frames."""
        return {"metric": self.metric, "total": self.total, "scenarios": self.scenarios}


def weights_hash(detector: Detector) -> str:
    """SHA-256 (hex) over a detector's tensors and their names: the same answers can be expected of the same hash."""
    digest = hashlib.sha256(type(detector).__name__.encode())
    for name, value in detector.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def predict(
    detector: Detector, dataset: Dataset, predictions: Predictions, progress: Progress | None = None
) -> dict[str, str]:
    """File the objects of every frame that has none yet.

    Args:
        dataset: with labels of the detector's task: see :func:`labelled`.
        progress: called with (frames done in this call, frames to do in it).

    Returns:
        What was wrong with frames that could not be read, by their names; they are left out.

    Raises:
        InputError: the detector's classes are none of the dataset's.
    """
    done = predictions.done()
    problems: dict[str, str] = {}
    todo = [frame for frame in dataset.frames if frame.name not in done]
    for count, found in detections(detector, dataset, todo, problems):
        file(dataset, predictions, found, problems)
        if progress:
            progress(count, len(todo))
    predictions.finish()
    return problems


def detections(
    detector: Detector, dataset: Dataset, frames: Sequence[Frame], problems: dict[str, str]
) -> Iterator[tuple[int, list[Detected]]]:
    """What a detector finds in frames, a batch at a time, with how many are behind it; what cannot be read is left out
    and goes to ``problems``. Raises InputError: the detector's classes are none of the dataset's."""
    unsure = bool(dataset.metric) and METRICS[dataset.metric].ranked
    for count, group in _image_groups(frames, detector.preprocessing, problems):
        begun = time.perf_counter()
        found = detector.detect([image for _, image in group], BATCH, unsure)
        each = 1000 * (time.perf_counter() - begun) / max(len(group), 1)
        named = [detector.task.in_classes(about, dataset.names).objects(0) for about in found]
        yield count, [Detected(frame, objects, each) for (frame, _), objects in zip(group, named, strict=True)]


def file(dataset: Dataset, predictions: Predictions, found: Sequence[Detected], problems: dict[str, str]) -> None:
    """Write what was found; what cannot be written goes to ``problems``."""
    for one in found:
        try:
            predictions.write(one.frame, one.objects, dataset.label(one.frame), one.milliseconds)
        except InputError as error:
            problems[one.frame.name] = str(error)


def labelled(dataset: Dataset, task: Task[Any]) -> Dataset:
    """The dataset with its labels of a task.

    Raises:
        InputError: it has none.
    """
    found = dataset.labelled(task.name)
    if found is None:
        has = f"labels of {TASKS[dataset.task].words.plural}" if dataset.metric else "no labels"
        raise InputError(
            f"{dataset.root} has {has}, and the detector finds {task.words.plural} ({task.name}): choose a dataset "
            "that has labels of these, or compare with sfcore compare"
        )
    return found


def _image_groups(
    frames: Sequence[Frame], reader: InputSpec, problems: dict[str, str]
) -> Iterator[tuple[int, list[tuple[Frame, Any]]]]:
    """Frames with their images, a batch at a time with how many have been read; the next batch is read meanwhile."""

    def read(group: Sequence[Frame]) -> list[tuple[Frame, Any]]:
        found = []
        for frame in group:
            try:
                found.append((frame, reader.read(frame.image)))
            except InputError as error:
                problems[frame.name] = str(error)
        return found

    groups = [frames[start : start + BATCH] for start in range(0, len(frames), BATCH)]
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(read, group) for group in groups[:1]]
        for number, group in enumerate(groups):
            ready = ahead.pop().result()
            ahead = [pool.submit(read, following) for following in groups[number + 1 : number + 2]]
            yield number * BATCH + len(group), ready


def evaluate(
    dataset: Dataset,
    predictions: Predictions,
    reference: Predictions | None = None,
    metric: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score filed predictions.

    Args:
        reference: predictions that take the place of the labels, such as those of the full-precision detector.
        metric: one of METRICS, with its usual settings; the dataset's own when None.

    Raises:
        InputError: the dataset has no metric, or there is none of that name.
    """
    name = metric or dataset.metric
    if not name:
        raise InputError(f"{dataset.root} has no labels: choose a labelled dataset, or compare with sfcore compare")
    judge = METRICS[name]()
    if judge.task != dataset.task:
        fitting = ", ".join(each for each in METRICS if METRICS[each].task == dataset.task)
        raise InputError(f"{name} is no metric of {TASKS[dataset.task].words.plural}: choose one of {fitting}")
    frames: dict[str, Tally] = {}
    problems: dict[str, str] = {}
    for done, frame in enumerate(dataset.frames, 1):
        try:
            label = _label(dataset, frame, reference)
            frames[frame.name] = judge.frame(predictions.read(frame), label, dataset.size(frame))
        except InputError as error:
            problems[frame.name] = str(error)
        if progress:
            progress(done, len(dataset.frames))
    total = judge.figures(list(frames.values()))
    return Evaluation(name, judge.headline, total, _scenarios(dataset, frames, judge), frames, problems)


def figures_of(task: Task[Any], labelled: Sequence[tuple[Dataset, Frame]], prediction: Any) -> Score:
    """What the labels' official metric says of a prediction about as many frames, of datasets with the same metric and
    classes.

    Args:
        prediction: in the detector's own frame and classes.

    Raises:
        InputError: a label is damaged, or the classes are others.
    """
    metric = METRICS[labelled[0][0].metric]()
    tallies = []
    for place, (dataset, frame) in enumerate(labelled):
        size = dataset.size(frame)
        found = task.in_classes(prediction[place], dataset.names).resized(size)
        tallies.append(metric.frame(found.objects(0), _label(dataset, frame, None), size))
    return metric.figures(tallies)


def _label(dataset: Dataset, frame: Frame, reference: Predictions | None) -> Label:
    label = dataset.label(frame)
    if reference:
        return Label(reference.read(frame), label.heights if label else None)
    if label is None:
        raise InputError(f"{frame.name} has no label: choose a labelled split")
    return label


def _scenarios(dataset: Dataset, frames: dict[str, Tally], judge: Metric) -> dict[str, Score]:
    groups: dict[str, list[Tally]] = {scenario: [] for scenario in dataset.scenarios}
    for frame in dataset.frames:
        if frame.scenario and frame.name in frames:
            groups[frame.scenario].append(frames[frame.name])
    return {name: judge.figures(scores) for name, scores in groups.items()}
