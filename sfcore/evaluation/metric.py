"""What an official metric is: something counted frame by frame, and figures made of the sums."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from sfcore.datasets.dataset import Label
from sfcore.registries import Registry

Score = dict[str, float]
Tally = Any  # what one frame adds, in the form that a metric sums up: of most metrics a Score


def nothing_to_find(score: Score) -> bool:
    """Whether no object is labelled, as on CULane's crossroads, where only false ones say anything."""
    return score.get("tp", 1) + score.get("fn", 0) == 0 and not math.isnan(score.get("f1", 0.0))


class Metric(ABC):
    """A metric by frames.

    Attributes:
        headline: the figure of :meth:`summary` that results are ranked by; more is better.
        nothing: the figures where no frame could be scored: what is made of sums is UNDEFINED.
        task: whose objects it judges (a name of ``sfcore.tasks``).
        ranked: whether it goes through all confidences, so that it needs the detector's unsure objects too.
    """

    headline: ClassVar[str]
    nothing: ClassVar[Score]
    task: ClassVar[str] = "lanes"
    ranked: ClassVar[bool] = False

    @abstractmethod
    def frame(self, predicted: Sequence[np.ndarray], label: Label, size: tuple[int, int]) -> Tally:
        """What one frame adds to the sums.

        Args:
            predicted: objects in the frame's own coordinates and the dataset's classes, as predictions give them.
            label: its labelled objects, in the same.
            size: (height, width) of the frame.
        """

    @abstractmethod
    def summary(self, frames: Iterable[Tally]) -> Score:
        """The figures of a whole set, of what :meth:`frame` returned for each."""

    def figures(self, frames: Sequence[Tally]) -> Score:
        """:meth:`summary`, or ``nothing`` where there are no frames."""
        return self.summary(frames) if frames else dict(self.nothing)

    def merit(self, frame: Tally) -> tuple[float, float]:
        """What frames are put in order by, the worst lowest: the headline figure, then fewer wrong objects."""
        return self.summary([frame])[self.headline], -frame.get("fp", 0.0) - frame.get("fn", 0.0)


METRICS: Registry[type[Metric]] = Registry("metric", "sfcore.evaluation.metrics")
