"""Average precision of boxes at IoU 0.5, to score a training; of datasets, their official metric is reported."""

from __future__ import annotations

import numpy as np

from sfcore.tasks.boxes2d import Boxes2d, iou

LEAST = 0.5  # IoU with a label, of a box that is right
RECALLS = np.linspace(0, 1, 101)  # at which COCO averages the precision


def ap50(truth: Boxes2d, found: Boxes2d) -> float:
    """Mean over the classes that are labelled; NaN where none is."""
    labels = truth.label[truth.present].unique().tolist()
    return float(np.mean([_of_class(truth, found, label) for label in labels])) if labels else float("nan")


def _of_class(truth: Boxes2d, found: Boxes2d, label: int) -> float:
    """The mean over recalls of the highest precision that is reached with at least that recall."""
    overlaps = iou(truth.box, found.box).numpy()
    wanted, given = ((each.present & (each.label == label)).numpy() for each in (truth, found))
    frame, slot = np.nonzero(given)
    order = np.argsort(-found.score.numpy()[frame, slot], kind="stable")
    free, right = wanted.copy(), np.zeros(len(order))
    for place, (b, k) in enumerate(zip(frame[order], slot[order], strict=True)):
        overlap = np.where(free[b], overlaps[b, :, k], 0.0)
        best = int(overlap.argmax())
        if overlap[best] >= LEAST:
            free[b, best], right[place] = False, 1.0
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    reached = np.searchsorted(hits / wanted.sum(), RECALLS - 1e-9)
    return float(np.append(precision, 0.0)[reached].mean())
