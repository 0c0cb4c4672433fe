"""The TuSimple metric, on cases worked out by hand and on the published detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.images import read_image
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.evaluation.tusimple import Label, at_heights, read_labels, score, score_frame

HEIGHTS = np.arange(160.0, 720.0, 10.0)  # 56 of them


def label(*columns: float) -> Label:
    return Label("frame", np.array([np.full(56, x) for x in columns]).reshape(-1, 56), HEIGHTS)


def guess(*columns: float) -> np.ndarray:
    return label(*columns).lanes


def test_exact_lanes_score_full() -> None:
    found = score_frame(guess(100, 400), label(100, 400))
    assert (found.accuracy, found.fp, found.fn) == (1, 0, 0)


def test_points_are_right_within_20_pixels() -> None:
    assert score_frame(guess(119.9), label(100)).accuracy == 1
    wrong = score_frame(guess(120), label(100))
    assert (wrong.accuracy, wrong.fp, wrong.fn) == (0, 1, 1)


def test_slanted_lanes_get_a_wider_limit() -> None:
    slanted = Label("frame", (2 * HEIGHTS)[None], HEIGHTS)  # dx/dy = 2: 20 * sqrt(5) = 44.7 px
    assert score_frame((2 * HEIGHTS + 44)[None], slanted).accuracy == 1
    assert score_frame((2 * HEIGHTS + 45)[None], slanted).accuracy == 0


def test_points_absent_from_both_are_right_and_absent_from_one_are_wrong() -> None:
    truth, lane = label(100), guess(100)
    truth.lanes[0, :14], lane[0, :28] = -2, -2  # 14 of 56 points are missing
    found = score_frame(lane, truth)
    assert found.accuracy == pytest.approx(0.75)
    assert (found.fp, found.fn) == (1, 1)  # under 85 %


def test_false_and_missed_lanes() -> None:
    found = score_frame(guess(100, 700), label(100, 400))
    assert (found.accuracy, found.fp, found.fn) == (0.5, 0.5, 0.5)
    assert score_frame(guess(), label(100)).fn == 1
    assert score_frame(guess(), label()).fn == 0


def test_the_worst_of_five_lanes_is_forgiven() -> None:
    found = score_frame(guess(100, 300, 500, 700), label(100, 300, 500, 700, 900))
    assert (found.accuracy, found.fp, found.fn) == (1, 0, 0)


def test_over_two_lanes_too_many_score_nothing() -> None:
    assert score_frame(guess(100, 300, 500), label(100)).accuracy == 1
    found = score_frame(guess(100, 300, 500, 700), label(100))
    assert (found.accuracy, found.fp, found.fn) == (0, 0, 1)


def test_ends_reach_half_a_step_beyond_the_samples() -> None:
    line = np.array([[0.0, 200.0], [8.0, 208.0], [16.0, 216.0]])[::-1]
    columns = at_heights([line], np.array([195.0, 196.0, 204.0, 220.0, 221.0]))
    assert columns.tolist() == [[-2, -4, 4, 20, -2]]


def test_label_files_with_faults_are_refused_by_line(tmp_path: Path) -> None:
    good = json.dumps({"raw_file": "a", "lanes": [[1, 2]], "h_samples": [160, 170]})
    path = tmp_path / "labels.json"
    for bad in ("{", json.dumps({"lanes": []}), good.replace("[1, 2]", "[1, 2, 3]"), "[]"):
        path.write_text(f"{good}\n\n{bad}\n")
        with pytest.raises(InputError, match=r"line 3 of .*labels\.json"):
            read_labels(path)
    with pytest.raises(InputError, match="no label file"):
        read_labels(tmp_path / "none.json")
    path.write_text(good)
    with pytest.raises(InputError, match="2 frames have 1 labels"):
        score([[], []], read_labels(path))


def test_the_published_detector_scores_as_published(real_data: Path, lstr: Detector) -> None:
    labels = read_labels(real_data / "tusimple6" / "labels.json")
    images = [read_image(real_data / "tusimple6" / f"{index:04d}.png") for index in range(len(labels))]
    found = score([lanes.polylines(0) for lanes in lstr.detect(images)], labels)
    assert found.accuracy == pytest.approx(0.9635, abs=0.002)
    assert (found.fp, found.fn) == (0, 0)
