"""CULane's F1: lanes are drawn 30 px wide and paired, and those of an IoU over 0.5 are found.

Counts are those of the official tool (``tools/lane_evaluation`` of SCNN), lane for lane: its spline in the precision
it has there, its rounding, its pairing (:mod:`sfcore.evaluation.assignment`), and what it makes of repeated points
and of lanes that leave the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfcore.datasets.dataset import Label
from sfcore.datasets.layouts.culane import damage, lanes_file, read_lanes
from sfcore.errors import InputError
from sfcore.evaluation.assignment import match
from sfcore.evaluation.counting import CountingMetric, FileCounts, FrameCounts, Progress, count_files, counts_of
from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.raster import Stroke, draw, iou_table, spline
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes import Polyline, lane_width

SIZE = (590, 1640)  # (height, width) of CULane's images
WIDTH = 30  # pixels that a lane is drawn wide there
STEPS = 50  # samples of a spline between two points


@METRICS.register("culane")
@dataclass(frozen=True)
class CULane(CountingMetric):
    """Precision, recall and F1 of lanes.

    Attributes:
        iou: above which a pair counts.
        width: of a drawn lane in pixels; None for 30 px at 1640 px image width.
        size: (height, width) of the image they are drawn in; None for the frame's own.
    """

    iou: float = 0.5
    width: int | None = None
    size: tuple[int, int] | None = None

    def counts(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Counts:
        size = self.size or size
        width = self.width or max(round(lane_width(size)), 1)
        return frame_counts(predicted, label.lanes, size, width, self.iou)


def frame_counts(
    predicted: Sequence[Polyline],
    labelled: Sequence[Polyline],
    size: tuple[int, int] = SIZE,
    width: int = WIDTH,
    iou: float = 0.5,
) -> Counts:
    """Lanes found, invented and missed in one frame.

    Lanes of fewer than two points count, but are like no other.

    Args:
        predicted, labelled: (N, 2) polylines in pixels.
        size: (height, width) of the frame.
        width: of a drawn lane in pixels.
        iou: above which a pair counts.
    """
    pairs = _pairs(predicted, labelled, size, width)
    (row,) = counts_of(pairs, len(predicted), len(labelled), [iou])
    return Counts(*row.tolist())


def evaluate_files(
    predictions: Path,
    annotations: Path,
    names: Sequence[str],
    iou: Sequence[float] = (0.5,),
    width: int = WIDTH,
    size: tuple[int, int] = SIZE,
    jobs: int = 1,
    progress: Progress | None = None,
) -> FileCounts:
    """Score the ``.lines.txt`` files of one folder against those of another, as the official tool does.

    Missing files are like empty ones and damaged lines are read up to the damage, as there; here they are named too.

    Args:
        names: the images, as the lists name them.
        iou: thresholds, each of which gets its counts.
        size: (height, width) of every image; the files of the images are not needed.
        jobs, progress: see :func:`~sfcore.evaluation.counting.count_files`.

    Raises:
        InputError: a folder is missing, or there is nothing to do.
    """
    for folder in (predictions, annotations):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: check the path")
    return count_files(_Counter(predictions, annotations, size, width, tuple(iou)), names, jobs, progress)


@dataclass(frozen=True)
class _Counter:
    predictions: Path
    annotations: Path
    size: tuple[int, int]
    width: int
    iou: tuple[float, ...]

    def __call__(self, name: str) -> FrameCounts:
        problems: list[str] = []
        found, labels = (_lanes(lanes_file(root, name), problems) for root in (self.predictions, self.annotations))
        predicted, labelled = found or [], labels or []
        pairs = _pairs(predicted, labelled, self.size, self.width)
        counts = counts_of(pairs, len(predicted), len(labelled), self.iou)
        return FrameCounts(counts, problems, labels is not None)


def _lanes(path: Path, problems: list[str]) -> list[Polyline] | None:
    """The lanes of a file as the official tool reads them, None where it cannot be read; what is wrong with it is added
    to ``problems``."""
    try:
        lanes, damaged = read_lanes(path)
    except InputError as error:
        problems.append(str(error))
        return None
    if damaged:
        problems.append(damage(path, damaged))
    return lanes


def _pairs(
    predicted: Sequence[Polyline], labelled: Sequence[Polyline], size: tuple[int, int], width: int
) -> np.ndarray:
    """The IoUs of the paired lanes."""
    if not len(predicted) or not len(labelled):
        return np.empty(0)
    table = iou_table(*([_stroke(lane, size, width) for lane in lanes] for lanes in (labelled, predicted)))
    return np.array([table[row, column] for row, column in enumerate(match(table)) if column >= 0])


def _stroke(lane: Polyline, size: tuple[int, int], width: int) -> Stroke | None:
    if len(lane) < 2:
        return None
    with np.errstate(over="ignore"):
        points = np.asarray(lane, np.float32)
    return draw(np.rint(_sampled(points) if len(points) > 2 else points), size, width)


def _sampled(points: np.ndarray) -> np.ndarray:
    """(50 (N - 1) + 1, 2) float32 points of the spline through (N, 2) points."""
    curve = spline(points)
    a, b, c, d = (part[..., None] for part in curve.coefficients)
    t = (curve.lengths / STEPS)[:, None] * np.arange(STEPS)
    with np.errstate(over="ignore"):
        inner = (a + b * t + c * (t * t) + d * (t * t * t)).reshape(2, -1).astype(np.float32)
    return np.append(inner, points[-1:].T, 1).T
