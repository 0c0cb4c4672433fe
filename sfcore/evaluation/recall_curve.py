"""Average precision of boxes in point clouds: KITTI's, at 40 recalls, and the plain area under the curve.

Both want a detection's overlap with every labelled box, and know labelled boxes that may be found but need not, and
detections that are not judged. KITTI's follows the published evaluation to its odd ends; ``R40`` reaches 1 only where
at least some 40 boxes are labelled, for each score at which a further box is found is one of at most 41 samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfcore.tasks.counts import UNDEFINED

SAMPLES = 41  # recalls 0, 1/40, ..., 1, the first of which R40 leaves out


@dataclass(frozen=True)
class Judged:
    """The labelled boxes of one class in one frame, and what a detector took for some.

    Attributes:
        overlap: (G, D) IoU of each labelled box with each detection.
        counts: (G,) bool: labelled boxes that have to be found; the others neither help nor harm who finds them.
        score: (D,) confidences.
        judged: (D,) bool: detections that are wrong where no box is; the others neither help nor harm.
    """

    overlap: np.ndarray
    counts: np.ndarray
    score: np.ndarray
    judged: np.ndarray


def kitti_ap(frames: Sequence[Judged], least: float) -> float:
    """AP R40 in [0, 1] at IoU above ``least``; UNDEFINED where no box has to be found.

    Precision is sampled at the scores whose recalls are nearest to 41 even ones, made monotone, and averaged over all
    but the first.
    """
    labelled = sum(int(frame.counts.sum()) for frame in frames)
    if not labelled:
        return UNDEFINED
    scores = np.concatenate([_scores_of_found(frame, least) for frame in frames])
    thresholds = _sampled(scores, labelled)
    found, false = np.zeros(len(thresholds)), np.zeros(len(thresholds))
    for frame in frames:
        more_found, more_false = _counted(frame, least, thresholds)
        found, false = found + more_found, false + more_false
    precision = np.divide(found, found + false, out=np.zeros(len(found)), where=found + false > 0)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[1:].sum() / (SAMPLES - 1))


def _scores_of_found(frame: Judged, least: float) -> np.ndarray:
    """The scores of found boxes if each labelled box in turn takes the surest detection that is left for it."""
    free, scores = np.ones(len(frame.score), bool), []
    for overlap, counts in zip(frame.overlap, frame.counts, strict=True):
        fits = free & (overlap > least)
        if not fits.any():
            continue
        best = int(np.where(fits, frame.score, -np.inf).argmax())
        free[best] = False
        if counts and frame.judged[best]:
            scores.append(frame.score[best])
    return np.array(scores)


def _sampled(scores: np.ndarray, labelled: int) -> np.ndarray:
    """The scores, highest first, at which recall is nearest to each of the even samples."""
    ordered, sample, chosen = np.sort(scores)[::-1], 0.0, []
    for place, score in enumerate(ordered):
        last = place == len(ordered) - 1
        here, following = (place + 1) / labelled, (place + (1 if last else 2)) / labelled
        if following - sample < sample - here and not last:
            continue
        chosen.append(score)
        sample += 1 / (SAMPLES - 1)
    return np.array(chosen)


def _counted(frame: Judged, least: float, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T,) boxes found and detections that are false, of those as sure as each threshold.

    Each labelled box in turn takes, of the detections that are left, the judged one that overlaps most, else the first
    of those that are not judged.
    """
    free = frame.score >= thresholds[:, None]
    found, rows = np.zeros(len(thresholds)), np.arange(len(thresholds))
    for overlap, counts in zip(frame.overlap, frame.counts, strict=True):
        fits = free & (overlap > least)
        worth = np.where(fits, np.where(frame.judged, 1 + overlap, 1.0), 0.0)
        best = worth.argmax(1) if worth.size else np.zeros(len(rows), int)
        taken = fits.any(1)
        free[rows[taken], best[taken]] = False
        found += taken & counts & (frame.judged[best] if worth.size else False)
    return found, (free & frame.judged).sum(1)


def plain_ap(frames: Sequence[Judged], least: float) -> float:
    """Area under precision over recall, precision made monotone, at IoU of at least ``least``; UNDEFINED where no box
    has to be found.

    The surest detections come first, and each takes the box that it overlaps most of those that are left, rather one
    that counts.
    """
    labelled = sum(int(frame.counts.sum()) for frame in frames)
    if not labelled:
        return UNDEFINED
    scores, right = (np.concatenate(each) for each in zip(*(_verdicts(frame, least) for frame in frames), strict=True))
    right = right[np.argsort(-scores, kind="stable")]
    found = right.cumsum()
    precision = found / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / labelled)


def _verdicts(frame: Judged, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the detections that are right or wrong, and whether they are right."""
    free, scores, right = np.ones(len(frame.counts), bool), [], []
    for place in np.argsort(-frame.score, kind="stable"):
        overlap = frame.overlap[:, place]
        fits = free & (overlap >= least)
        counts = bool((fits & frame.counts).any())
        if fits.any():
            free[np.where(fits, overlap + frame.counts, -1.0).argmax()] = False
        if counts or (frame.judged[place] and not fits.any()):
            scores.append(frame.score[place])
            right.append(counts)
    return np.array(scores), np.array(right, bool)
