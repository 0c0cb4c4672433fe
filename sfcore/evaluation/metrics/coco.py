"""COCO's average precision, by faster-coco-eval, whose figures are those of the official tool.

AP is the mean, over classes and over IoUs from 0.50 to 0.95 in steps of 0.05, of the precision at 101 recalls of the
boxes in the order of their confidence, at most 100 a frame; AP50 and AP75 are those at one IoU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from sfcore.datasets.dataset import Label
from sfcore.evaluation.metric import METRICS, Metric, Score
from sfcore.tasks.counts import UNDEFINED

FIGURES = ("ap", "ap50", "ap75")  # as the tool lists them first


@dataclass(frozen=True)
class FrameBoxes:
    """Boxes of one frame, each (N, 6): left, top, right, bottom, label, score.

    Attributes:
        predicted: by a detector.
        labelled: to be found.
        neutral: crowds.
    """

    predicted: np.ndarray
    labelled: np.ndarray
    neutral: np.ndarray


@METRICS.register("coco")
@dataclass(frozen=True)
class CocoAP(Metric):
    """AP, AP50 and AP75.

    Attributes:
        sure: confidence from which a box counts as labelled where another detector's boxes take the place of labels.
    """

    headline = "ap"
    nothing: ClassVar[Score] = dict.fromkeys(FIGURES, UNDEFINED)
    task = "boxes2d"
    ranked = True

    sure: float = 0.3

    def frame(self, predicted: Sequence[np.ndarray], label: Label, size: tuple[int, int]) -> FrameBoxes:
        labelled = _rows(label.objects)
        return FrameBoxes(_rows(predicted), labelled[labelled[:, 5] >= self.sure], _rows(label.neutral))

    def summary(self, frames: Iterable[FrameBoxes]) -> Score:
        """Figures of no labelled box at all are UNDEFINED."""
        truth, results = _as_coco(list(frames))
        if not truth["annotations"]:
            return dict(self.nothing)
        if not results:  # of which older versions of the tool make an error
            return dict.fromkeys(FIGURES, 0.0)
        labels = COCO(truth)
        judge = COCOeval_faster(labels, labels.loadRes(results), iouType="bbox", print_function=_quiet)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        found = (float(value) for value in judge.stats[: len(FIGURES)])
        return {name: value if value >= 0 else UNDEFINED for name, value in zip(FIGURES, found, strict=True)}

    def merit(self, frame: FrameBoxes) -> tuple[float, float]:
        """AP, then fewer sure boxes than are labelled too many; a frame without labels does best without sure boxes."""
        wrong = abs(int((frame.predicted[:, 5] >= self.sure).sum()) - len(frame.labelled))
        ap = self.summary([frame])["ap"] if len(frame.labelled) else float(not wrong)
        return ap, -wrong


def _rows(objects: Sequence[np.ndarray]) -> np.ndarray:
    return np.array(objects, np.float64).reshape(-1, 6)


def _as_coco(frames: Sequence[FrameBoxes]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Labels and predictions of some frames as COCO's files hold them."""
    annotations = [
        {**entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": crowd, "id": 0}
        for number, each in enumerate(frames, 1)
        for crowd, rows in enumerate((each.labelled, each.neutral))
        for entry in _entries(number, rows)
    ]
    for number, entry in enumerate(annotations, 1):
        entry["id"] = number
    results = [entry for number, each in enumerate(frames, 1) for entry in _entries(number, each.predicted)]
    classes = {entry["category_id"] for entry in (*annotations, *results)}
    truth = {
        "images": [{"id": number} for number in range(1, len(frames) + 1)],
        "categories": [{"id": each, "name": str(each)} for each in sorted(classes)],
        "annotations": annotations,
    }
    return truth, results


def _entries(number: int, rows: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"image_id": number, "category_id": int(label) + 1, "bbox": [x, y, right - x, bottom - y], "score": score}
        for x, y, right, bottom, label, score in rows.tolist()
    ]


def _quiet(*said: object) -> None:
    """The tool would print its table."""
