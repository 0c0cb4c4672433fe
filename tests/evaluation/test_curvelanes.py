"""CurveLanes' metric: worked out by hand, and count for count against the published one.

``recorded/curvelanes.npz`` holds what ``tools/condlanenet/lane_metric.py`` of aliyun/conditional-lane-detection counted
(224 x 224, 5 px, IoU 0.5) in the first 4,000 frames of ``culane_cases.py``, of the sizes below in turn: tp, fp, fn; 255
where it stops with an error (a point that repeats the one before), or where a lane goes beyond 10,000 px.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.datasets.dataset import Label
from sfcore.datasets.layouts.culane import parse_lanes
from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.metrics.curvelanes import evaluate_files, frame_counts
from sfcore.tasks.counts import Counts
from tests.evaluation.culane_cases import case

SIZES = ((720, 1280), (590, 1640), (660, 1570), (1440, 2560))
RECORDED = np.load(Path(__file__).parent / "recorded" / "curvelanes.npz")["counts"]


def upright(x: float) -> np.ndarray:
    return np.array([[x, 223.0], [x, 100.0], [x, 20.0]])


def counts(found: Counts) -> tuple[int, int, int]:
    return found.tp, found.fp, found.fn


def assert_as_recorded(indices: range) -> None:
    compared = [index for index in indices if RECORDED[index, 0] < 255]
    assert len(compared) > len(indices) / 2
    for index in compared:
        predicted, labelled = (parse_lanes(text)[0] for text in case(index))
        assert counts(frame_counts(predicted, labelled, SIZES[index % 4])) == tuple(RECORDED[index]), index


def test_counts_are_those_of_the_published_metric() -> None:
    assert_as_recorded(range(200))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_counts_are_those_of_the_published_metric() -> None:
    assert (RECORDED[:, 0] < 255).sum() > 2500
    assert_as_recorded(range(len(RECORDED)))


@pytest.mark.parametrize(("shift", "found"), [(0, 1), (2, 1), (-2, 1), (3, 0)])
def test_a_lane_7_pixels_wide_is_found_up_to_a_third_of_its_width(shift: int, found: int) -> None:
    # OpenCV draws width 5 as 7 columns: (7 - s) / (7 + s) is 5/9 at 2 px and 4/10 at 3
    expected = (found, 1 - found, 1 - found)
    assert counts(frame_counts([upright(100 + shift)], [upright(100)], (224, 224))) == expected


def test_lanes_are_compared_at_224_pixels_whatever_the_frame() -> None:
    wide = [upright(100) * [10, 5]]
    metric = METRICS["curvelanes"]()
    for shift, found in ((29, 1), (30, 0)):
        predicted = [upright(100) * [10, 5] + [shift, 0]]
        assert metric.frame(predicted, Label(wide), (1120, 2240))["tp"] == found


def test_lanes_without_points_do_not_count_and_those_of_one_are_like_no_other() -> None:
    nothing, point = np.empty((0, 2)), upright(100)[:1]
    assert counts(frame_counts([nothing, point], [nothing, upright(100)], (224, 224))) == (0, 1, 1)
    assert counts(frame_counts([nothing], [], (224, 224))) == (0, 0, 0)


def test_repeated_points_and_lanes_that_go_far_are_drawn() -> None:
    lane = upright(100)
    assert counts(frame_counts([lane.repeat(2, 0)], [lane], (224, 224))) == (1, 0, 0)
    far = np.array([[100.0, 223.0], [1e12, 223.0]])
    assert counts(frame_counts([far, lane], [lane, far], (224, 224))) == (2, 0, 0)


def write(folder: Path, name: str, *lanes: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [[{"x": str(x), "y": str(y)} for x, y in lane] for lane in lanes]
    (folder / f"{name}.lines.json").write_text(json.dumps({"Lines": lines}))


def test_files_are_scored_by_the_size_of_their_images(tmp_path: Path) -> None:
    labels, predictions = tmp_path / "labels", tmp_path / "out"
    for name, width in (("a", 224), ("b", 2240), ("c", 224)):
        (tmp_path / "images").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.zeros((224, width, 3), np.uint8))
        write(labels, name, upright(100))
        write(predictions, name, upright(104))  # 4 px of 224, or 0.4 px
    (predictions / "c.lines.json").write_text("{")
    found = evaluate_files(predictions, labels)
    assert found.counts[:, 0].tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1]]
    assert list(found.problems) == ["images/c.jpg"] and "damaged" in found.problems["images/c.jpg"]
    fixed = evaluate_files(predictions, labels, ["images/a.jpg", "images/b.jpg"], size=(224, 2240))
    assert fixed.totals() == [Counts(2, 0, 0)] and not fixed.problems


def test_an_image_that_is_needed_and_missing_is_named_and_not_counted(tmp_path: Path) -> None:
    write(tmp_path / "labels", "a", upright(100))
    write(tmp_path / "out", "a", upright(100))
    found = evaluate_files(tmp_path / "out", tmp_path / "labels", ["images/a.jpg"])
    assert found.totals() == [Counts()]
    assert "--size" in found.problems["images/a.jpg"]
