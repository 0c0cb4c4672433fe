"""Several models on the same frames, against full precision and against labels: what the Compare page shows."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from app import results
from app.explore import Moved
from app.figures.colours import CALIBRATED, FULL, MOVED
from app.session import Studio, image_of, remembered, written
from app.style import Bar
from sfcore.datasets.dataset import Dataset, Frame, Label, Predictions
from sfcore.distortion import distortion
from sfcore.errors import InputError
from sfcore.evaluation.agreement import Agreement, agreement
from sfcore.evaluation.evaluate import Evaluation, evaluate
from sfcore.evaluation.metric import METRICS, Score
from sfcore.lanes import Lanes, Polyline, cat
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName, models_of

COLOURS: dict[ModelName, str] = {"full": FULL, "calibrated": CALIBRATED, "tuned": MOVED}


@dataclass(frozen=True)
class Contender:
    """One of the compared models.

    Attributes:
        which: of its run; the full-precision detector is that of the sidebar.
        run: None for full precision.
        second: it belongs to the second of two runs.
    """

    which: ModelName = "full"
    run: RunFolder | None = None
    second: bool = False

    @property
    def name(self) -> str:
        """What it is called on the page."""
        plain = "full precision" if self.which == "full" else self.which
        return f"{plain}, run 2" if self.second else plain

    @property
    def colour(self) -> str:
        """What it has everywhere in the app."""
        return COLOURS[self.which]

    @property
    def key(self) -> Hashable:
        """What results about it are kept under."""
        return self.run and (self.run.path, self.which, results.stamp(self.run, self.which))

    def lanes(self, view: Studio, image: Path) -> Lanes:
        """Its lanes on one image, in the detector's frame."""
        return results.lanes(self.run, self.which, image) if self.run else view.lanes(image)

    def moved(self, view: Studio, image: Path) -> Moved:
        """Its lanes on one image beside the full-precision ones."""
        before, after = view.lanes(image), self.lanes(view, image)
        return Moved(before, after, distortion(before, after))


def contenders(run: RunFolder, second: RunFolder | None = None) -> list[Contender]:
    """Full precision, the models of a run, and those of a second one."""
    first = [Contender(which, run) for which in models_of(run)]
    return [Contender(), *first, *(Contender(which, second, True) for which in (models_of(second) if second else []))]


@dataclass(frozen=True)
class Verdict:
    """How one model does on some frames.

    Attributes:
        agreement: with the full-precision lanes, over all frames.
        scenarios: the same for each scenario that is known.
        distortion: Lane Distortion Score of each frame, by its name.
        labels: what the dataset's metric says of it; None without labels.
    """

    agreement: Agreement
    scenarios: dict[str, Agreement]
    distortion: dict[str, float]
    labels: Evaluation | None

    def scores(self) -> dict[str, Score]:
        """All figures in total and by scenario: against labels, and where there are none against full precision."""
        if self.labels:
            return {"total": self.labels.total, **self.labels.scenarios}
        agreed = {"total": self.agreement, **self.scenarios}
        return {name: asdict(agreement) for name, agreement in agreed.items()}

    def worst(self, order: str) -> list[str]:
        """All frames by name, worst first: by "distortion", or by what the metric says of them against "labels"."""
        if order == "labels" and self.labels:
            return self.labels.worst(len(self.labels.frames))
        return sorted(self.distortion, key=lambda name: -self.distortion[name])

    def of_frame(self, name: str) -> float | None:
        """What the metric's headline figure is on one frame; None without a label."""
        if self.labels is None or name not in self.labels.frames:
            return None
        return METRICS[self.labels.metric]().summary([self.labels.frames[name]])[self.labels.headline]


@dataclass(frozen=True)
class Comparison:
    """All models on the same frames.

    Attributes:
        frames: those that could be read.
        verdicts: of each model, by its name; full precision first.
        problems: what was wrong with the others and with labels, by the frame's name.
    """

    frames: tuple[Frame, ...]
    verdicts: dict[str, Verdict]
    problems: dict[str, str]

    @property
    def labelled(self) -> bool:
        """Whether there are labels to hold the models against."""
        return all(verdict.labels for verdict in self.verdicts.values())


class Held(Predictions):
    """Lanes in memory, for a metric that reads predictions."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[Polyline]] = {}

    def done(self) -> set[str]:
        return set(self._lanes)

    def write(self, frame: Frame, lanes: Sequence[Polyline], label: Label | None, milliseconds: float) -> None:
        self._lanes[frame.name] = list(lanes)

    def read(self, frame: Frame) -> list[Polyline]:
        return self._lanes[frame.name]


def compare(view: Studio, models: Sequence[Contender], frames: Sequence[Frame]) -> Comparison:
    """Each model's verdict, with a progress bar while frames are not cached.

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
    lanes: dict[str, list[Lanes]] = {model.name: [] for model in models}
    for done, frame in enumerate(frames, 1):
        try:
            image_of(frame.image, written(frame.image))
        except InputError as error:
            problems[frame.name] = str(error)
            continue
        kept.append(frame)
        for model in models:
            lanes[model.name].append(model.lanes(view, frame.image))
        bar(done, len(frames))
    bar.close()
    if not kept:
        raise InputError(f"none of the {len(frames)} frames can be read: {next(iter(problems.values()))}")
    reference = cat(lanes[models[0].name])
    labelled = _labelled(view.dataset, kept, problems)
    verdicts = {
        name: Verdict(
            *_agreement(kept, view.dataset.scenarios, reference, cat(found)),
            _against_labels(view.dataset, labelled, kept, found),
        )
        for name, found in lanes.items()
    }
    return Comparison(tuple(kept), verdicts, problems)


def _agreement(
    frames: Sequence[Frame], names: Sequence[str], reference: Lanes, lanes: Lanes
) -> tuple[Agreement, dict[str, Agreement], dict[str, float]]:
    """What a Verdict says without labels; ``names`` are the scenarios."""
    groups = {name: [i for i, frame in enumerate(frames) if frame.scenario == name] for name in names}
    scenarios = {name: agreement(reference[places], lanes[places]) for name, places in groups.items() if places}
    scores = distortion(reference, lanes).score.tolist()
    return agreement(reference, lanes), scenarios, {f.name: score for f, score in zip(frames, scores, strict=True)}


def _labelled(dataset: Dataset, frames: Sequence[Frame], problems: dict[str, str]) -> list[Frame]:
    """The frames that have labels; what is wrong with damaged ones is added to ``problems``."""
    found = []
    for frame in frames if dataset.metric else ():
        try:
            if dataset.label(frame) is not None:
                found.append(frame)
        except InputError as error:
            problems[frame.name] = str(error)
    return found


def _against_labels(
    dataset: Dataset, labelled: list[Frame], frames: Sequence[Frame], found: Sequence[Lanes]
) -> Evaluation | None:
    if not labelled:
        return None
    few, held = copy.copy(dataset), Held()
    few.frames = labelled
    for frame, lanes in zip(frames, found, strict=True):
        held.write(frame, lanes.resized(dataset.size(frame)).polylines(0), None, 0.0)
    return evaluate(few, held)


def labelled_lanes(dataset: Dataset, frame: Frame) -> list[Polyline]:
    """The labelled lanes of a frame in its own pixels, to be drawn; none where its label cannot be read."""
    try:
        label = dataset.label(frame)
    except InputError:
        return []
    return label.lanes if label else []
