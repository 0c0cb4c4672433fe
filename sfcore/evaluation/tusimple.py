"""The TuSimple benchmark's accuracy, false positives and false negatives, as its official ``lane.py`` counts them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfcore.errors import InputError
from sfcore.lanes import Polyline

PIXEL_THRESHOLD = 20.0  # a point is right within so many pixels across the lane's direction
LANE_THRESHOLD = 0.85  # a lane is found when this share of its points is right
ABSENT = -2.0  # the format's mark for "no point at this height"


@dataclass(frozen=True)
class Label:
    """One labelled frame.

    Attributes:
        raw_file: the frame's name in the dataset.
        lanes: (lanes, heights) x in pixels, negative where a lane has no point.
        heights: (heights,) y in pixels, shared by all lanes.
    """

    raw_file: str
    lanes: np.ndarray
    heights: np.ndarray


@dataclass(frozen=True)
class TuSimpleScore:
    """Accuracy and the rates of false positives and false negatives, each in [0, 1], as means over frames."""

    accuracy: float
    fp: float
    fn: float


def read_labels(path: Path) -> list[Label]:
    """The frames of a label file: one JSON object a line with ``raw_file``, ``lanes`` and ``h_samples``.

    Raises:
        InputError: the file is missing, or a line is no such object; the message says which.
    """
    if not path.is_file():
        raise InputError(f"there is no label file {path}: check the path")
    labels = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            heights = np.asarray(entry["h_samples"], np.float64)
            lanes = np.asarray(entry["lanes"], np.float64).reshape(-1, len(heights))
            labels.append(Label(str(entry["raw_file"]), lanes, heights))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"line {number} of {path} is no TuSimple label: it must be a JSON object with raw_file, lanes and "
                "h_samples, each lane as long as h_samples"
            ) from error
    return labels


def at_heights(polylines: Sequence[Polyline], heights: np.ndarray) -> np.ndarray:
    """(lanes, heights) the x of each polyline at each height, linear between its points; ABSENT outside it.

    An end point stands for half the distance to its neighbour: the lane was sampled, and its true end lies
    that far beyond on average.
    """
    columns = np.full((len(polylines), len(heights)), ABSENT)
    for column, line in zip(columns, polylines, strict=True):
        if len(line) < 2:
            continue
        x, y = line[np.argsort(line[:, 1], kind="stable")].T
        first, last = (np.array([x[i] + (x[i] - x[j]) / 2, y[i] + (y[i] - y[j]) / 2]) for i, j in ((0, 1), (-1, -2)))
        x, y = np.concatenate([first[:1], x, last[:1]]), np.concatenate([first[1:], y, last[1:]])
        column[:] = np.interp(heights, y, x, left=ABSENT, right=ABSENT)
    return columns


def score_frame(lanes: np.ndarray, label: Label) -> TuSimpleScore:
    """Score one frame's predicted lanes.

    At most four labelled lanes count: with more, the worst is forgiven. A frame with over two lanes more than
    are labelled scores nothing.

    Args:
        lanes: (lanes, heights) predicted x at the label's heights, negative where absent.
    """
    labelled = len(label.lanes)
    if labelled + 2 < len(lanes):
        return TuSimpleScore(0.0, 0.0, 1.0)
    best = _right_shares(lanes, label).max(1, initial=0.0)
    found = int((best >= LANE_THRESHOLD).sum())
    missed, total = labelled - found, best.sum()
    if labelled > 4:
        missed, total = max(missed - 1, 0), total - best.min()
    counted = max(min(labelled, 4), 1)
    false = (len(lanes) - found) / len(lanes) if len(lanes) else 0.0
    return TuSimpleScore(float(total / counted), float(false), float(missed / counted))


def score(frames: Sequence[Sequence[Polyline]], labels: Sequence[Label]) -> TuSimpleScore:
    """The mean score over frames of lanes given as polylines in the labels' pixels.

    Raises:
        InputError: frames and labels are not as many.
    """
    if len(frames) != len(labels) or not labels:
        raise InputError(f"{len(frames)} frames have {len(labels)} labels: give one label for each frame")
    scores = [score_frame(at_heights(f, label.heights), label) for f, label in zip(frames, labels, strict=True)]
    mean = np.mean([(s.accuracy, s.fp, s.fn) for s in scores], axis=0)
    return TuSimpleScore(*(float(value) for value in mean))


def _right_shares(lanes: np.ndarray, label: Label) -> np.ndarray:
    """(labelled, predicted) share of heights at which the two agree, being both absent included."""
    truth = np.where(label.lanes >= 0, label.lanes, -100.0)[:, None]
    guess = np.where(lanes >= 0, lanes, -100.0)[None]
    limits = np.array([PIXEL_THRESHOLD * np.hypot(1, _slope(lane, label.heights)) for lane in label.lanes])
    return (np.abs(guess - truth) < limits.reshape(-1, 1, 1)).mean(-1)


def _slope(lane: np.ndarray, heights: np.ndarray) -> float:
    """dx/dy of the straight line that fits a lane's points best; 0 for fewer than two points."""
    x, y = lane[lane >= 0], heights[lane >= 0]
    spread = y - y.mean() if len(y) > 1 else np.zeros(1)
    return float(spread @ (x - x.mean()) / (spread @ spread)) if spread.any() else 0.0
