"""The TuSimple benchmark's accuracy, false positives and false negatives, as its official ``lane.py`` counts them.

A point is right within 20 px across the lane's direction, being absent from both included; a lane's accuracy is the
share of its heights at which its best prediction is right, and it is found from 0.85 on. Frames count alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sfcore.datasets.dataset import Label
from sfcore.datasets.layouts.tusimple import JsonLines, at_heights, columns_of, label_of
from sfcore.datasets.numbers import number
from sfcore.errors import InputError
from sfcore.evaluation.metric import METRICS, Metric, Score
from sfcore.tasks.counts import UNDEFINED
from sfcore.tasks.lanes import Polyline

PIXEL_THRESHOLD = 20.0  # a point is right within so many pixels across the lane's direction
LANE_THRESHOLD = 0.85  # a lane is found when this share of its points is right
LONGEST = 200.0  # milliseconds; a frame that took longer scores nothing
AWAY = -100.0  # where lane.py puts absent points: near each other, and 80 px from the image
CHUNK = 256  # frames scored together: few enough for the processor's cache


@dataclass(frozen=True)
class Columns:
    """Lanes of one frame: (lanes, H) x at its heights, negative where absent."""

    guess: np.ndarray
    truth: np.ndarray
    heights: np.ndarray
    milliseconds: float = 0.0


@dataclass(frozen=True)
class TuSimpleScores:
    """Frames scored one by one.

    Attributes:
        names: the F labelled frames, in the label file's order.
        scores: (F, 3) accuracy, rate of false positives and of false negatives of each.
        late: how many took over 200 ms, and score nothing for it.
        problems: lines of either file that could not be used, and frames without a prediction; as in an empty
            prediction, no lane was found there. Frames whose label is damaged are left out.
    """

    names: list[str]
    scores: np.ndarray
    late: int
    problems: list[str]

    def summary(self) -> Score:
        """Means over the frames; see :meth:`TuSimple.summary`. UNDEFINED where there are none."""
        return _summary(self.scores) if len(self.scores) else dict(TuSimple.nothing)


@METRICS.register("tusimple")
class TuSimple(Metric):
    """Accuracy, FP and FN of polylines sampled at the label's heights; needs labels that have heights."""

    headline = "accuracy"
    nothing: ClassVar[Score] = dict.fromkeys(("accuracy", "fp", "fn", "f1"), UNDEFINED)

    def frame(self, predicted: Sequence[Polyline], label: Label, size: tuple[int, int]) -> Score:
        """Accuracy, share of false lanes among the predicted, of missed ones among the labelled.

        At most four labelled lanes count: with more, the worst is forgiven. A frame with over two lanes more than
        are labelled scores nothing. Polylines have no gaps and no times: where those count, :func:`evaluate_files`.

        Raises:
            InputError: the label has no heights.
        """
        if label.heights is None:
            raise InputError("the label has no heights, at which TuSimple compares lanes: choose the metric culane")
        truth = at_heights(label.lanes, label.heights) if label.columns is None else label.columns
        accuracy, fp, fn = score_frames([Columns(at_heights(predicted, label.heights), truth, label.heights)])[
            0
        ].tolist()
        return {"accuracy": accuracy, "fp": fp, "fn": fn}

    def summary(self, frames: Iterable[Score]) -> Score:
        """Means over frames, and the F1 that papers derive: FP and FN taken as 1 - precision and 1 - recall.

        Raises:
            InputError: there are no frames.
        """
        return _summary(np.array([[frame["accuracy"], frame["fp"], frame["fn"]] for frame in frames]))


def evaluate_files(predictions: Path, labels: Path) -> TuSimpleScores:
    """Score a prediction file against a label file, as ``lane.py predictions labels`` does.

    Few frames are in memory at a time. Where lane.py refuses a file, its other lines are scored and the bad ones
    listed.

    Raises:
        InputError: there is no such file.
    """
    for path in (predictions, labels):
        if not path.is_file():
            raise InputError(f"there is no file {path}: check the path")
    guesses, truths = JsonLines(predictions, "TuSimple prediction"), JsonLines(labels, "TuSimple label")
    problems = truths.problems + guesses.problems
    problems += [f"{labels} has no frame {name} of {predictions}" for name in guesses.lines if name not in truths.lines]
    wanted, scores, late = list(truths.lines), [np.empty((0, 3))], 0
    names: list[str] = []
    for start in range(0, len(wanted), CHUNK):
        chunk = _read(wanted[start : start + CHUNK], guesses, truths, problems)
        names += chunk
        late += sum(frame.milliseconds > LONGEST for frame in chunk.values())
        scores.append(score_frames(list(chunk.values())))
    return TuSimpleScores(names, np.concatenate(scores), late, problems)


def _read(names: Sequence[str], guesses: JsonLines, truths: JsonLines, problems: list[str]) -> dict[str, Columns]:
    """Labels and predictions of some frames; what is wrong with them is added to ``problems``."""
    labels = {}
    for name, label in zip(names, truths.each(names, label_of), strict=True):
        if isinstance(label, InputError):
            problems.append(str(label))
        else:
            labels[name] = label

    def prediction(entry: dict[str, Any]) -> Columns:
        columns, heights = labels[entry["raw_file"]]
        return Columns(columns_of(entry, len(heights)), columns, heights, number(entry["run_time"]))

    problems += [f"{guesses.path} has no prediction of {name}" for name in labels if name not in guesses.lines]
    predicted = [name for name in labels if name in guesses.lines]
    found = dict(zip(predicted, guesses.each(predicted, prediction), strict=True))
    problems += [str(each) for each in found.values() if isinstance(each, InputError)]
    nothing = {name: Columns(columns[:0], columns, heights) for name, (columns, heights) in labels.items()}
    return nothing | {name: each for name, each in found.items() if isinstance(each, Columns)}


def score_frames(frames: Sequence[Columns]) -> np.ndarray:
    """(F, 3) accuracy, rate of false positives and rate of false negatives of each frame."""
    scores, lengths = np.empty((len(frames), 3)), np.array([len(frame.heights) for frame in frames])
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        scores[alike] = _score([frames[i] for i in alike.tolist()])
    return scores


def _score(frames: Sequence[Columns]) -> np.ndarray:
    """:func:`score_frames` for frames of equally many heights."""
    guess, guesses = _joined([frame.guess for frame in frames])
    truth, truths = _joined([frame.truth for frame in frames])
    frame_of = np.repeat(np.arange(len(frames)), truths)
    heights = np.stack([frame.heights for frame in frames])[frame_of]
    limits = PIXEL_THRESHOLD / np.cos(np.arctan(_slopes(truth, heights)))
    real = np.arange(truths.max(initial=0)) < truths[:, None]
    best = np.zeros(real.shape)
    best[real] = _best_shares(guess, guesses, truth, frame_of, limits)
    found = (real & (best >= LANE_THRESHOLD)).sum(1)
    many, missed = truths > 4, truths - found
    worst = np.where(real, best, 1.0).min(1, initial=1.0)
    total = best.sum(1) - many * worst
    counted = truths.clip(1, 4)
    false, missed = (guesses - found) / guesses.clip(1), (missed - (many & (missed > 0))) / counted
    scores = np.stack([total / counted, false, missed], 1)
    scores[(guesses > truths + 2) | [frame.milliseconds > LONGEST for frame in frames]] = 0, 0, 1
    return scores


def _joined(each: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(lanes, H) columns of all frames, one after the other, absent points at AWAY, and (F,) how many each has."""
    columns = np.concatenate(each)
    return np.where(columns < 0, AWAY, columns), np.array([len(lanes) for lanes in each])


def _best_shares(
    guess: np.ndarray, guesses: np.ndarray, truth: np.ndarray, frame_of: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """(labelled,) largest share of heights at which a predicted lane of its frame agrees with a labelled one."""
    best = np.zeros(len(truth))
    first = guesses.cumsum() - guesses
    for lane in range(guesses.max(initial=0)):
        rivals = np.flatnonzero(guesses[frame_of] > lane)  # labelled lanes of frames that have so many predicted
        away = np.abs(guess[first[frame_of[rivals]] + lane] - truth[rivals])
        right = (away < limits[rivals, None]).astype(float) @ np.ones(truth.shape[1])  # as sum does, and faster
        best[rivals] = np.maximum(best[rivals], right / truth.shape[1])
    return best


def _slopes(lanes: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """(lanes,) dx/dy of the straight line that fits each lane's points best; 0 for fewer than two.

    Args:
        lanes, heights: (lanes, H) x and y of their points, x negative where there is none.
    """
    known = lanes >= 0
    count = known.sum(-1, keepdims=True).clip(1)
    x, y = np.where(known, lanes, 0.0), np.where(known, heights, 0.0)
    x, y = x - x.sum(-1, keepdims=True) / count * known, y - y.sum(-1, keepdims=True) / count * known
    spread = (y * y).sum(-1)
    return np.divide((x * y).sum(-1), spread, out=np.zeros(spread.shape), where=spread > 0)


def _summary(scores: np.ndarray) -> Score:
    if not len(scores):
        raise InputError("no frame could be scored: check that labels and predictions are of the same frames")
    accuracy, fp, fn = scores.mean(0).tolist()
    right = 2 - fp - fn  # precision + recall
    return {"accuracy": accuracy, "fp": fp, "fn": fn, "f1": 2 * (1 - fp) * (1 - fn) / right if right else 0.0}
