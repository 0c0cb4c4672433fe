"""CurveLanes' F1: lanes are scaled to 224 x 224, drawn 5 px wide and paired, and those of an IoU over 0.5 are found.

Counts are those of the metric that its authors published with VEGA (``lane_metric.py`` in CondLaneNet's code), lane
for lane: a spline sampled at every pixel of its length, cut to whole pixels, and the pairing of the largest total IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from sfcore.datasets.dataset import Label
from sfcore.datasets.images import image_size
from sfcore.datasets.layouts.curvelanes import labelled_names, lanes_file, read_lanes
from sfcore.errors import InputError
from sfcore.evaluation.counting import CountingMetric, FileCounts, FrameCounts, Progress, count_files, counts_of
from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.raster import Stroke, draw, iou_table, spline
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes import Polyline

DRAWN = (224, 224)  # (height, width) of the images that lanes are drawn in
WIDTH = 5  # pixels that a lane is drawn wide there
FAR = 1e4  # pixels of the drawn image; a lane that goes further is drawn as if it ended there


@METRICS.register("curvelanes")
@dataclass(frozen=True)
class CurveLanes(CountingMetric):
    """Precision, recall and F1 of lanes.

    Attributes:
        iou: above which a pair counts.
    """

    iou: float = 0.5

    def counts(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Counts:
        return frame_counts(predicted, label.lanes, size, self.iou)


def frame_counts(
    predicted: Sequence[Polyline], labelled: Sequence[Polyline], size: tuple[int, int], iou: float = 0.5
) -> Counts:
    """Lanes found, invented and missed in one frame.

    Lanes without a point do not count. Where a point repeats the one before, which the published code cannot draw,
    it is passed over.

    Args:
        predicted, labelled: (N, 2) polylines in pixels.
        size: (height, width) of the frame.
        iou: above which a pair counts.
    """
    (row,) = _count(predicted, labelled, size, (iou,))
    return Counts(*row.tolist())


def evaluate_files(
    predictions: Path,
    annotations: Path,
    names: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
    iou: Sequence[float] = (0.5,),
    jobs: int = 1,
    progress: Progress | None = None,
) -> FileCounts:
    """Score the ``.lines.json`` files of one folder against those of another, such as ``valid/labels``.

    A missing or damaged file is named and counts as no lanes.

    Args:
        names: the images, as the lists name them; None for all that have an annotation.
        size: (height, width) of every image; None to look it up in the images, which must lie in ``images`` beside
            the annotations. One that cannot be read is named and not counted.
        iou: thresholds, each of which gets its counts.
        jobs, progress: see :func:`~sfcore.evaluation.counting.count_files`.

    Raises:
        InputError: a folder is missing, or there is nothing to do.
    """
    for folder in (predictions, annotations):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}: check the path")
    names = labelled_names(annotations) if names is None else names
    return count_files(_Counter(predictions, annotations, size, tuple(iou)), names, jobs, progress)


@dataclass(frozen=True)
class _Counter:
    predictions: Path
    annotations: Path
    size: tuple[int, int] | None
    iou: tuple[float, ...]

    def __call__(self, name: str) -> FrameCounts:
        problems: list[str] = []
        predicted, labelled = (
            _lanes(lanes_file(folder, name), problems) for folder in (self.predictions, self.annotations)
        )
        try:
            size = self.size or image_size(self.annotations.parent / name.lstrip("/"))
        except InputError as error:
            return FrameCounts(np.zeros((len(self.iou), 3), int), [*problems, f"{error}, or give --size"], False)
        return FrameCounts(_count(predicted or [], labelled or [], size, self.iou), problems, labelled is not None)


def _lanes(path: Path, problems: list[str]) -> list[Polyline] | None:
    try:
        return read_lanes(path)
    except InputError as error:
        problems.append(str(error))
        return None


def _count(
    predicted: Sequence[Polyline], labelled: Sequence[Polyline], size: tuple[int, int], iou: Sequence[float]
) -> np.ndarray:
    """(thresholds, 3) tp, fp, fn."""
    first, second = ([_stroke(lane, size) for lane in lanes if len(lane)] for lanes in (labelled, predicted))
    table = np.nan_to_num(iou_table(first, second))
    return counts_of(table[linear_sum_assignment(1 - table)], len(second), len(first), iou)


def _stroke(lane: Polyline, size: tuple[int, int]) -> Stroke | None:
    scale = np.array([size[1] / DRAWN[1], size[0] / DRAWN[0]])
    points = np.clip(np.asarray(lane, np.float64) / scale, -FAR, FAR)
    points = points[np.append(True, (np.diff(points, axis=0) != 0).any(1))]
    return draw(np.trunc(_sampled(points)), DRAWN, WIDTH) if len(points) > 1 else None


def _sampled(points: np.ndarray) -> np.ndarray:
    """The spline through (N, 2) points: from each of them at every whole pixel up to the next, and the last."""
    curve = spline(points)
    counts = np.ceil(curve.lengths).astype(int)
    t = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    a, b, c, d = (np.repeat(part, counts, 1) for part in curve.coefficients)
    return np.append(a + b * t + c * t * t + d * t * t * t, points[-1:].T, 1).T
