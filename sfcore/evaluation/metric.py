"""What an official metric is: something counted frame by frame, and figures made of the sums."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sfcore.datasets.dataset import Label
from sfcore.registries import Registry
from sfcore.tasks.lanes import Polyline

Score = dict[str, float]


UNDEFINED = math.nan  # a figure of no frame at all; null in JSON


def nothing_to_find(score: Score) -> bool:
    """Whether no lane is labelled, as on CULane's crossroads, where only false lanes say anything."""
    return score.get("tp", 1) + score.get("fn", 0) == 0 and not math.isnan(score.get("f1", 0.0))


@dataclass(frozen=True)
class Counts:
    """Lanes found (``tp``), invented (``fp``) and missed (``fn``)."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted lanes that are right; 1 where there is nothing to find and nothing was found."""
        return self._share(self.fp)

    @property
    def recall(self) -> float:
        """Share of the labelled lanes that were found; 1 where there is nothing to find and nothing was found."""
        return self._share(self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn); 1 where all are 0."""
        wrong = self.fp + self.fn
        return 2 * self.tp / (2 * self.tp + wrong) if self.tp + wrong else 1.0

    def to_dict(self) -> Score:
        """For JSON."""
        names = ("tp", "fp", "fn", "precision", "recall", "f1")
        return {name: getattr(self, name) for name in names}

    def _share(self, wrong: int) -> float:
        if self.tp + wrong:
            return self.tp / (self.tp + wrong)
        return float(self.fp + self.fn == 0)


class Metric(ABC):
    """A metric by frames.

    Attributes:
        headline: the figure of :meth:`summary` that results are ranked by; more is better.
        nothing: the figures where no frame could be scored: what is made of sums is UNDEFINED.
    """

    headline: ClassVar[str]
    nothing: ClassVar[Score]

    @abstractmethod
    def frame(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Score:
        """What one frame adds to the sums.

        Args:
            predicted: (N, 2) polylines in pixels of the frame.
            label: its lanes, in the same pixels.
            size: (height, width) of the frame.
        """

    @abstractmethod
    def summary(self, frames: Iterable[Score]) -> Score:
        """The figures of a whole set, of what :meth:`frame` returned for each."""

    def figures(self, frames: Sequence[Score]) -> Score:
        """:meth:`summary`, or ``nothing`` where there are no frames."""
        return self.summary(frames) if frames else dict(self.nothing)


METRICS: Registry[type[Metric]] = Registry("metric", "sfcore.evaluation.metrics")
