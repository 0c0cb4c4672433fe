"""What an official metric is: something counted frame by frame, and figures made of the sums."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from sfcore.datasets.dataset import Label
from sfcore.registries import Registry
from sfcore.tasks.lanes import Polyline

Score = dict[str, float]


def nothing_to_find(score: Score) -> bool:
    """Whether no lane is labelled, as on CULane's crossroads, where only false lanes say anything."""
    return score.get("tp", 1) + score.get("fn", 0) == 0 and not math.isnan(score.get("f1", 0.0))


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
