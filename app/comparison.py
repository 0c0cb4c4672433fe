"""Several models on the same frames, against full precision and against labels: what the Compare page shows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import results
from app.calibration import Calibration
from app.perturbation import Moved
from app.session import Studio, remembered, size_of, written
from app.style import Bar
from sfcore.datasets.dataset import Frame
from sfcore.errors import InputError
from sfcore.present.model_comparison import Comparison, Model, compare_models, compared_models
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName


class Contender(Model):
    """One of the models on the page, with its predictions; the full-precision detector is that of the sidebar."""

    @property
    def key(self) -> Hashable:
        """What results about it are kept under."""
        return self.run and (self.run.path, self.which, results.stamp(self.run, self.which))

    @property
    def full_precision(self) -> Mapping[str, str]:
        """What of it stays in full precision, and why, by the names of its modules."""
        return self.run.record().get("full_precision", {}) if self.run else {}

    def prediction(self, view: Studio, image: Path) -> Any:
        """Its prediction about one image, in the detector's frame."""
        return results.prediction(self.run, self.which, image) if self.run else view.prediction(image)

    def moved(self, view: Studio, image: Path) -> Moved:
        """Its prediction about one image beside the full-precision one."""
        before, after = view.prediction(image), self.prediction(view, image)
        return Moved(before, after, view.task.distortion(before, after))


@dataclass(frozen=True, kw_only=True)
class OnTheSpot(Contender):
    """The sidebar's detector, calibrated on the spot."""

    which: ModelName = "calibrated"
    calibration: Calibration

    @property
    def key(self) -> Hashable:
        return self.calibration

    @property
    def full_precision(self) -> Mapping[str, str]:
        return self.calibration.model.full_precision

    def prediction(self, view: Studio, image: Path) -> Any:
        return self.calibration.prediction(image)


def contenders(run: RunFolder, second: RunFolder | None = None) -> list[Contender]:
    """Full precision, the models of a run, and those of a second one."""
    return [Contender(model.which, model.run, model.second) for model in compared_models(run, second)]


def compare(view: Studio, models: Sequence[Contender], frames: Sequence[Frame]) -> Comparison:
    """Each model's scores, with a progress bar while frames are not cached.

    Raises:
        InputError: none of the frames can be read.
    """
    stamps = tuple((frame.name, _stamp(frame)) for frame in frames)
    key = ("compare", view.choice, view.dataset.root, view.dataset.split, stamps, *(model.key for model in models))
    return remembered(key, lambda: _compare(view, models, frames))


def _stamp(frame: Frame) -> float | None:
    try:
        return written(frame.image)
    except InputError:
        return None


def _compare(view: Studio, models: Sequence[Contender], frames: Sequence[Frame]) -> Comparison:
    bar, problems = Bar("Comparing frames"), dict[str, str]()
    kept: list[Frame] = []
    found: dict[str, list[Any]] = {model.name: [] for model in models}
    for done, frame in enumerate(frames, 1):
        try:
            size_of(view.choice, frame.image, written(frame.image))
        except InputError as error:
            problems[frame.name] = str(error)
            continue
        kept.append(frame)
        for model in models:
            found[model.name].append(model.prediction(view, frame.image))
        bar(done, len(frames))
    bar.close()
    if not kept:
        raise InputError(f"none of the {len(frames)} frames can be read: {next(iter(problems.values()))}")
    joined = {name: view.task.join(each) for name, each in found.items()}
    return compare_models(view.task, view.dataset, kept, joined, problems)
