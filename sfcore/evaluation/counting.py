"""Metrics that count lanes, and counting them over many files: few frames in memory, on one core or several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from typing import ClassVar

import numpy as np

from sfcore.datasets.dataset import Label
from sfcore.errors import InputError
from sfcore.evaluation.metric import Metric, Score
from sfcore.tasks.counts import UNDEFINED, Counts
from sfcore.tasks.lanes import Polyline

NOTHING: Score = Counts().to_dict() | dict.fromkeys(("precision", "recall", "f1"), UNDEFINED)
CHUNK = 64  # frames that a process is given at a time

Progress = Callable[[int, int], None]


class CountingMetric(Metric):
    """A metric made of the lanes that are found, invented and missed."""

    headline = "f1"
    nothing: ClassVar[Score] = NOTHING

    @abstractmethod
    def counts(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Counts:
        """Those of one frame; see :meth:`frame`."""

    def frame(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Score:
        """``tp``, ``fp`` and ``fn``."""
        return {name: float(count) for name, count in asdict(self.counts(predicted, label, size)).items()}

    def summary(self, frames: Iterable[Score]) -> Score:
        """Sums over the frames, and precision, recall and F1 made of them; those of no frames are UNDEFINED."""
        each = [Counts(*(int(frame[name]) for name in ("tp", "fp", "fn"))) for frame in frames]
        return sum(each, Counts()).to_dict() if each else dict(self.nothing)


@dataclass(frozen=True)
class FrameCounts:
    """What one frame adds.

    Attributes:
        counts: (thresholds, 3) tp, fp, fn.
        problems: what is wrong with its files.
        scored: whether it has a label to be scored against; official tools count it without one, too.
    """

    counts: np.ndarray
    problems: list[str]
    scored: bool


@dataclass(frozen=True)
class FileCounts:
    """Frames counted one by one.

    Attributes:
        names: the F frames.
        counts: (F, thresholds, 3) tp, fp, fn of each, at each IoU threshold.
        problems: what was missing or damaged, by the frame's name.
        scored: (F,) bool, which of them have a label.
    """

    names: Sequence[str]
    counts: np.ndarray
    problems: dict[str, str]
    scored: np.ndarray

    def totals(self, chosen: Sequence[bool] | slice = slice(None)) -> list[Counts]:
        """The sums over the chosen frames, for each threshold."""
        sums = self.counts[_index(chosen)].sum(0)
        return [Counts(*(int(value) for value in row)) for row in sums]

    def figures(self, chosen: Sequence[bool] | slice = slice(None)) -> Score:
        """Sums over the chosen frames at the first threshold, and what is made of them: UNDEFINED if none is scored."""
        counts = self.totals(chosen)[0].to_dict()
        return counts if self.scored[_index(chosen)].any() else NOTHING | {n: counts[n] for n in ("tp", "fp", "fn")}


def _index(chosen: Sequence[bool] | slice) -> np.ndarray | slice:
    return chosen if isinstance(chosen, slice) else np.asarray(chosen, bool)


def counts_of(pairs: np.ndarray, predicted: int, labelled: int, thresholds: Sequence[float]) -> np.ndarray:
    """(thresholds, 3) tp, fp, fn of a frame from the IoUs of its paired lanes; found is what is over a threshold."""
    tp = (pairs[:, None] > np.asarray(thresholds)).sum(0)
    return np.stack([tp, predicted - tp, labelled - tp], 1)


def count_files(
    count: Callable[[str], FrameCounts], names: Sequence[str], jobs: int = 1, progress: Progress | None = None
) -> FileCounts:
    """Count every frame.

    Args:
        count: what counts the frame of a name; for several jobs it must be picklable.
        jobs: processes that share the work. They are spawned, so a script that asks for several must guard its
            entry point by ``if __name__ == "__main__"``.
        progress: called with (frames done, frames in all).

    Raises:
        InputError: under one job, or no frame.
    """
    if jobs < 1:
        raise InputError(f"{jobs} jobs cannot share the work: choose 1 or more")
    if not names:
        raise InputError("there are no frames to score: name a list that has some")
    found: list[FrameCounts] = []
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(jobs, get_context("spawn"))) if jobs > 1 else None
        for part in (pool.map if pool else map)(partial(_count_chunk, count), chunks):
            found += part
            if progress:
                progress(len(found), len(names))
    problems = {name: "; ".join(frame.problems) for name, frame in zip(names, found, strict=True) if frame.problems}
    scored = np.array([frame.scored for frame in found])
    return FileCounts(names, np.stack([frame.counts for frame in found]), problems, scored)


def _count_chunk(count: Callable[[str], FrameCounts], names: Sequence[str]) -> list[FrameCounts]:
    return [count(name) for name in names]
