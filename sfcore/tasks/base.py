"""What a task is: a kind of answer, how two answers are held against each other, how they are drawn, and its words.

Everything above this room speaks to a detector's ``task`` and its predictions alone. One more kind of answer is one
more package in this room that registers a :class:`Task`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from sfcore.drawing import Image
from sfcore.registries import Registry
from sfcore.tasks.counts import UNDEFINED, Counts

if TYPE_CHECKING:
    from sfcore.detectors.base import Detector, Outputs
    from sfcore.detectors.contract import Check

Index = int | slice | Sequence[int] | Tensor


class Prediction(ABC):
    """What a detector answers of a batch of frames: objects, such as lanes, of each. Frozen; tensors are padded."""

    @abstractmethod
    def __len__(self) -> int:
        """Frames of the batch."""

    @abstractmethod
    def __getitem__(self, index: Index) -> Self:
        """The frames at ``index``, still a batch; a frame may be asked for several times."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""

    @abstractmethod
    def counts(self) -> Tensor:
        """(B,) how many objects each frame has."""

    @abstractmethod
    def objects(self, index: int) -> list[np.ndarray]:
        """The objects of one frame, as metrics and files read them."""

    @abstractmethod
    def scores(self, index: int) -> list[float]:
        """The confidence of each of :meth:`objects`, in [0, 1]."""

    def compact(self) -> Self:
        """The same without padding that no frame needs."""
        return self

    def resized(self, size: tuple[int, int]) -> Self:
        """The same in the coordinates of a frame of another (height, width)."""
        return self


class Distortion(ABC):
    """How far the objects of a batch have moved from those of its reference."""

    @abstractmethod
    def parts(self) -> dict[str, Tensor]:
        """(B,) of each part of the score for each frame, in the order of the task's parts."""

    @property
    def score(self) -> Tensor:
        """(B,) the distortion score of each frame: the sum of its parts."""
        first, *rest = self.parts().values()
        return sum(rest, first)


@dataclass(frozen=True)
class Agreement:
    """How far one set of predictions agrees with another, over all frames: nothing needs a label.

    Attributes:
        images: how many were compared.
        tp, fp, fn: objects found in both, only in the other, only in the reference.
        precision, recall, f1: from those; 1 where neither set has an object.
        distortion: mean distortion score per frame.
        shift: mean displacement of matched objects; NaN when no object has a partner though there are objects.
        unit: of the shift.

    Of no frames, all of these are NaN.
    """

    images: int
    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float
    distortion: float
    shift: float
    unit: str

    @classmethod
    def of(cls, images: int, counts: Counts, distortion: float, shift: float, unit: str) -> Agreement:
        """From what was counted and measured over some frames."""
        if not images:
            nan = UNDEFINED
            return cls(0, 0, 0, 0, nan, nan, nan, nan, nan, unit)
        found, shares = (counts.tp, counts.fp, counts.fn), (counts.precision, counts.recall, counts.f1)
        return cls(images, *found, *shares, distortion, shift, unit)

    def scores(self) -> dict[str, float]:
        """All numbers by name; the shift is called after its unit: ``shift_px``."""
        found = asdict(self)
        unit = found.pop("unit")
        found[f"shift_{unit}"] = found.pop("shift")
        return found

    def to_dict(self) -> dict[str, float | None]:
        """:meth:`scores` for JSON, where an undefined value is null."""
        return {name: None if math.isnan(value) else value for name, value in self.scores().items()}


@dataclass(frozen=True)
class Points:
    """A detector's semantics as points in the task's own unit, differentiable in the head outputs.

    Attributes:
        position: (B, N) coordinates in the task's unit: pixels at 640 px image width, metres.
        weight: (B, N) in [0, 1]: the confidence of what each point belongs to, 0 where it means nothing.
            Weights carry no gradient.
    """

    position: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Part:
    """One of the parts that a distortion score is the sum of.

    Attributes:
        name: such as "bend".
        colour: that it is drawn in, ``#RRGGBB``; told apart with any colour vision.
    """

    name: str
    colour: str


@dataclass(frozen=True)
class Words:
    """How a task is spoken of.

    Attributes:
        singular, plural: what its objects are called.
        score: title of its distortion score.
        unit: of displacements, as it ends JSON keys: "px".
        scene: what a frame shows, for captions: "road".
        explanation: of the score and its parts.
        agreement, distortion, shift: explanations of these columns of a table.
        lost: the part that objects without a partner count as.
        title: what the task is called where one of several is chosen.
        elsewhere: frames that say more of a model than those it was tuned on.
    """

    singular: str
    plural: str
    score: str
    unit: str
    scene: str
    explanation: str
    agreement: str
    distortion: str
    shift: str
    lost: str
    title: str = ""
    elsewhere: str = "other scenes and sensors"


P = TypeVar("P", bound=Prediction)


class Task(ABC, Generic[P]):
    """A kind of answer; one instance is registered under its name.

    Attributes:
        name: in the registry.
        parts: of its distortion score, in order.
        words: how it is spoken of.
        huber_delta: error of a point, in the task's unit, beyond which objectives count it linearly, so that a few
            runaway points do not drown the rest.
        promises: what a detector of this task promises beside what all do, as checks by their text.
    """

    name: ClassVar[str]
    parts: ClassVar[tuple[Part, ...]]
    words: ClassVar[Words]
    huber_delta: ClassVar[float] = 1.0
    promises: Mapping[str, Check] = {}

    @property
    def lost_colour(self) -> str:
        """What objects without a partner are drawn in."""
        return next(part.colour for part in self.parts if part.name == self.words.lost)

    @abstractmethod
    def join(self, batches: Sequence[P]) -> P:
        """The frames of several batches as one."""

    @abstractmethod
    def empty(self, prediction: P) -> P:
        """The same frames without any object."""

    def in_classes(self, prediction: P, names: Sequence[str]) -> P:
        """The same in the classes of a dataset, where objects have classes; those of others are left out.

        Raises:
            InputError: no class has the name of one of these.
        """
        return prediction

    @abstractmethod
    def distortion(self, reference: P, other: P) -> Distortion:
        """Score ``other`` against ``reference``, frame by frame.

        Args:
            reference: B frames, or one that all of ``other`` are compared with.
            other: B frames.
        """

    @abstractmethod
    def agreement(self, reference: P, other: P) -> Agreement:
        """Compare ``other`` with ``reference``, of as many frames.

        Raises:
            ValueError: the two do not fit each other.
        """

    @abstractmethod
    def points(self, detector: Detector, outputs: Outputs) -> Points:
        """The semantics of head outputs as differentiable points, before any discrete step of decode."""

    @abstractmethod
    def draw(self, image: Image, prediction: P, index: int = 0) -> Image:
        """The objects of one frame on a copy of its picture."""

    @abstractmethod
    def draw_moved(
        self, image: Image, reference: P, other: P, moved: Distortion, index: int = 0, tolerance: float | None = None
    ) -> Image:
        """The objects of one frame and their reference on a copy of its picture, coloured by what happened to them.

        Args:
            reference: of as many frames as ``other``, or of one.
            moved: of ``other`` against ``reference``.
            tolerance: displacement up to which an object is in place, in the task's unit; None for the usual.
        """

    def draw_each(self, image: Image, prediction: P, index: int = 0) -> Image:
        """The objects of one frame, each in a colour of its own."""
        return self.draw(image, prediction, index)

    def draw_labels(self, image: Image, objects: Sequence[np.ndarray], like: P) -> Image:
        """Labelled objects on a copy of the picture.

        Args:
            like: any prediction in the coordinates of the objects.
        """
        return image

    def draw_names(self, image: Image, prediction: P, index: int = 0) -> Image:
        """The name of each object of one frame, as :meth:`split` calls it, on a copy of the picture."""
        return image

    def split(self, reference: P, moved: Distortion) -> dict[str, dict[str, float]]:
        """The score of one reference frame's objects by part: object by object where the task tells them apart.

        Args:
            moved: of one or several frames against this reference; the mean is taken.
        """
        return {f"all {self.words.plural}": {name: float(value.mean()) for name, value in moved.parts().items()}}

    def about(self, prediction: P) -> dict[str, Any]:
        """What :meth:`restored` needs beside the objects, the same for all predictions of a detector; for JSON."""
        return {}

    def record(self, prediction: P, index: int = 0) -> list[Any]:
        """The objects of one frame, for JSON."""
        return [np.round(each, 2).tolist() for each in prediction.objects(index)]

    def listed(self, prediction: P, index: int = 0) -> list[dict[str, Any]]:
        """The objects of one frame with their confidence, as ``sfcore detect --json`` gives them."""
        objects = zip(prediction.scores(index), self.record(prediction, index), strict=True)
        return [{"score": round(score, 4), "points": points} for score, points in objects]

    @abstractmethod
    def restored(self, objects: list[Any], about: Mapping[str, Any]) -> P:
        """A batch of one from what :meth:`record` and :meth:`about` gave.

        Raises:
            KeyError, TypeError, ValueError: they are damaged.
        """


TASKS: Registry[Task[Any]] = Registry("task", "sfcore.tasks")


def register(make: Callable[[], Task[Any]]) -> Callable[[], Task[Any]]:
    """Decorator over the class of a task: one instance of it is registered under its name."""
    task = make()
    TASKS.register(task.name)(task)
    return make
