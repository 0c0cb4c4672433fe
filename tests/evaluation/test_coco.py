"""COCO's AP: by hand, against the tool called directly, and what is neutral, unsure or absent."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from sfcore.datasets.dataset import Label
from sfcore.evaluation.metrics.coco import CocoAP, FrameBoxes

METRIC = CocoAP()
SIZE = (400, 400)


def box(x: float, y: float, w: float, h: float, label: int = 0, score: float = 1.0) -> np.ndarray:
    return np.array([x, y, x + w, y + h, label, score], np.float64)


def frame(predicted: list[np.ndarray], labelled: list[np.ndarray], crowds: tuple[np.ndarray, ...] = ()) -> FrameBoxes:
    return METRIC.frame(predicted, Label(labelled, neutral=crowds), SIZE)


def test_equal_boxes_score_one_and_no_labels_are_undefined() -> None:
    some = [box(0, 0, 50, 50), box(100, 100, 50, 80, 1)]
    assert METRIC.figures([frame(some, some), frame([], [])]) == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    assert math.isnan(METRIC.figures([frame(some, [])])["ap"]) and math.isnan(METRIC.figures([])["ap50"])
    assert METRIC.figures([frame([], some)])["ap"] == 0.0


def test_ap_by_hand() -> None:
    """Two labelled boxes. In order of confidence: a wrong one, one at IoU 0.8, one at IoU 0.6.

    At IoU 0.50 to 0.60 precision is 0, 1/2, 2/3, so at every recall the most that follows, 2/3. From 0.65 to 0.80 only
    one is found: 1/2 at the 51 recalls up to 0.5, 0 beyond. From 0.85 none is.
    """
    labelled = [box(0, 0, 100, 100), box(200, 0, 100, 100)]
    predicted = [box(0, 200, 50, 50, 0, 0.9), box(0, 0, 80, 100, 0, 0.8), box(200, 0, 60, 100, 0, 0.7)]
    found = METRIC.figures([frame(predicted, labelled)])
    half = 0.5 * 51 / 101
    assert found["ap50"] == pytest.approx(2 / 3)
    assert found["ap75"] == pytest.approx(half)
    assert found["ap"] == pytest.approx((3 * 2 / 3 + 4 * half) / 10)


def test_classes_count_alike_and_a_box_of_another_class_is_wrong() -> None:
    labelled = [box(0, 0, 50, 50, 0), box(100, 0, 50, 50, 0), box(200, 0, 50, 50, 1)]
    assert METRIC.figures([frame([*labelled[:2], box(200, 0, 50, 50, 0, 0.5)], labelled)])["ap"] == pytest.approx(0.5)


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    labelled, crowd = [box(0, 0, 50, 50)], (box(100, 100, 200, 200),)
    stray = box(120, 120, 40, 40, 0, 1.0)
    good = box(0, 0, 50, 50, 0, 0.5)
    assert METRIC.figures([frame([stray, good], labelled, crowd)])["ap"] == pytest.approx(1.0)
    assert METRIC.figures([frame([stray, good], labelled)])["ap"] == pytest.approx(0.5)


def test_only_sure_boxes_take_the_place_of_labels() -> None:
    found = [box(0, 0, 50, 50, 0, 0.9), box(100, 0, 50, 50, 0, 0.1)]
    assert METRIC.figures([METRIC.frame(found, Label(found), SIZE)])["ap"] == 1.0
    assert METRIC.figures([METRIC.frame(found[:1], Label(found), SIZE)])["ap"] == 1.0


def test_worst_frames_come_first() -> None:
    label = [box(0, 0, 50, 50)]
    frames = [frame(label, label), frame([], []), frame([box(0, 0, 30, 50)], label), frame([], label), frame(label, [])]
    order = sorted(range(5), key=lambda place: METRIC.merit(frames[place]))
    assert set(order[:2]) == {3, 4} and order[2] == 2


def test_figures_are_those_of_the_tool_called_directly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames, annotations, results = [], [], []
    for image in range(1, 25):
        labelled, predicted = [], []
        for _ in range(random.integers(0, 8)):
            x, y, w, h = random.uniform([0, 0, 8, 8], [300, 300, 100, 100])
            label, crowd = int(random.integers(0, 3)), int(random.random() < 0.1)
            labelled.append((box(x, y, w, h, label), crowd))
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": label, "bbox": [x, y, w, h],
                 "area": w * h, "iscrowd": crowd}
            )  # fmt: skip
            for _ in range(random.integers(0, 3)):
                moved = np.array([x, y, w, h]) + random.normal(0, 5, 4)
                moved[2:] = moved[2:].clip(1)
                score = float(random.random())
                predicted.append(box(*moved, label, score))
                results.append({"image_id": image, "category_id": label, "bbox": moved.tolist(), "score": score})
        crowds = tuple(each for each, crowd in labelled if crowd)
        frames.append(frame(predicted, [each for each, crowd in labelled if not crowd], crowds))
    truth = {
        "images": [{"id": image} for image in range(1, 25)], "annotations": annotations,
        "categories": [{"id": label, "name": f"class {label}"} for label in range(3)],
    }  # fmt: skip
    for name, content in (("truth.json", truth), ("results.json", results)):
        (tmp_path / name).write_text(json.dumps(content))
    labels = COCO(str(tmp_path / "truth.json"))
    judge = COCOeval_faster(labels, labels.loadRes(str(tmp_path / "results.json")), iouType="bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    found = METRIC.figures(frames)
    assert 0.1 < found["ap"] < found["ap50"] < 0.95
    assert list(found.values()) == pytest.approx(judge.stats[:3].tolist(), abs=1e-9)
