"""Boxes in images: overlap, distortion, agreement, names and JSON, on cases worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes2d import BoxDetection, Boxes2d, iou

TASK = TASKS["boxes2d"]
SIZE = (360, 640)  # one pixel here is one pixel at 640 px width
NAMES = ("car", "person")
LOST = 30 / 1640 * 640

Given = tuple[float, float, float, float, int]


def boxes(*frames: list[Given], size: tuple[int, int] = SIZE) -> Boxes2d:
    """Boxes by their four sides and their class; each is sure by 0.9, 0.8, ..."""
    rows = [[np.array([*each, 0.9 - 0.1 * place]) for place, each in enumerate(frame)] for frame in frames]
    return Boxes2d.from_objects(rows, NAMES, size)


def parts(reference: Boxes2d, other: Boxes2d) -> list[list[float]]:
    return [value.tolist() for value in TASK.distortion(reference, other).parts().values()]


def test_iou_by_hand() -> None:
    a, b = boxes([(0, 0, 10, 10, 0), (20, 20, 20, 30, 0)]), boxes([(5, 0, 15, 10, 0), (10, 0, 20, 10, 0)])
    assert iou(a.box, b.box)[0].tolist() == [[pytest.approx(50 / 150), 0.0], [0.0, 0.0]]
    assert iou(a.box, a.box)[0].diagonal().tolist() == [1.0, 0.0]  # a box without area is like none


def test_a_moved_centre_is_shift_and_a_changed_size_stretch() -> None:
    before = boxes([(100, 100, 200, 160, 0)])
    assert parts(before, boxes([(103, 104, 203, 164, 0)])) == [[pytest.approx(5.0)], [0.0], [0.0]]
    assert parts(before, boxes([(94, 92, 206, 168, 0)])) == [[0.0], [pytest.approx(10.0)], [0.0]]
    assert parts(before, boxes([(100, 100, 206, 168, 0)])) == [[pytest.approx(5.0)], [pytest.approx(5.0)], [0.0]]


def test_pixels_are_counted_at_640_px_image_width() -> None:
    before, after = (boxes([(x, 200, x + 200, 320, 0)], size=(720, 1280)) for x in (200, 212))
    assert parts(before, after) == [[pytest.approx(6.0)], [0.0], [0.0]]
    small = [each.resized(SIZE) for each in (before, after)]
    assert TASK.distortion(*small).score == pytest.approx(TASK.distortion(before, after).score)


def test_lost_invented_and_renamed_boxes_are_misaligned() -> None:
    before = boxes([(100, 100, 200, 160, 0), (300, 100, 400, 160, 1)])
    assert parts(before, boxes([(100, 100, 200, 160, 0)])) == [[0.0], [0.0], [pytest.approx(LOST)]]
    assert parts(boxes([]), before) == [[0.0], [0.0], [pytest.approx(2 * LOST)]]
    renamed = boxes([(100, 100, 200, 160, 1), (300, 100, 400, 160, 1)])
    assert parts(before, renamed) == [[0.0], [0.0], [pytest.approx(2 * LOST)]]  # one lost, one invented
    assert round(LOST, 1) == 11.7


def test_a_box_that_moved_far_counts_as_one_lost_and_one_invented_at_most() -> None:
    before = boxes([(0, 0, 300, 300, 0)])
    far, gone = boxes([(100, 0, 400, 300, 0)]), boxes([(320, 0, 620, 300, 0)])
    assert parts(before, far) == [[pytest.approx(LOST)], [0.0], [0.0]]
    both = boxes([(0, 0, 150, 150, 0)])
    assert TASK.distortion(before, both).score.tolist() == pytest.approx([2 * LOST])
    assert TASK.distortion(before, gone).score.tolist() == pytest.approx([2 * LOST])
    assert TASK.agreement(before, far).shift == pytest.approx(100.0)  # with its whole distance


def test_one_reference_stands_for_all_frames() -> None:
    before = boxes([(100, 100, 200, 160, 0), (300, 100, 400, 160, 0)])
    after = boxes([(104, 100, 204, 160, 0)], [], [(300, 100, 400, 160, 0), (100, 103, 200, 163, 0)])
    together = TASK.distortion(before, after)
    for frame in range(3):
        alone = TASK.distortion(before, after[frame])
        assert {name: float(each[frame]) for name, each in together.parts().items()} == {
            name: float(each) for name, each in alone.parts().items()
        }
    assert together.pairs.tolist() == [[0, -1], [-1, -1], [1, 0]]


def test_crowded_boxes_pair_so_that_the_total_iou_is_largest() -> None:
    before = boxes([(0, 0, 10, 10, 0), (4, 0, 14, 10, 0), (8, 0, 18, 10, 0)])
    after = boxes([(3, 0, 13, 10, 0), (5, 0, 15, 10, 0), (9, 0, 19, 10, 0)])
    table = iou(before.box, after.box)[0]
    best = max(permutations(range(3)), key=lambda order: sum(float(table[i, j]) for i, j in enumerate(order)))
    assert TASK.distortion(before, after).pairs.tolist() == [list(best)]


CORNER, SIDE = st.integers(0, 300), st.integers(1, 120)
SETS = st.lists(st.tuples(CORNER, CORNER, SIDE, SIDE, st.integers(0, 1)), max_size=6)


@given(SETS, SETS)
@settings(max_examples=60, deadline=None)
def test_score_is_the_sum_of_its_parts(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    a, b = (boxes([(x, y, x + w, y + h, label) for x, y, w, h, label in each]) for each in (first, second))
    moved = TASK.distortion(a, b)
    found = moved.parts()
    assert torch.equal(moved.score, found["shift"] + found["stretch"] + found["misalignment"])
    pairs = int((moved.pairs >= 0).sum())
    assert float(found["misalignment"]) == pytest.approx(LOST * (len(first) + len(second) - 2 * pairs), abs=1e-3)
    assert float(TASK.distortion(a, a).score) == 0.0


def test_equal_boxes_agree_and_none_agree_with_none() -> None:
    some, none = boxes([(100, 100, 200, 160, 0)], [(0, 0, 40, 40, 1), (9, 9, 60, 60, 0)]), boxes([], [])
    found = TASK.agreement(some, some)
    assert (found.images, found.tp, found.fp, found.fn) == (2, 3, 0, 0)
    assert (found.f1, found.distortion, found.shift) == (1.0, 0.0, 0.0)
    nothing = TASK.agreement(none, none)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.shift) == (1.0, 1.0, 1.0, 0.0)
    missed = TASK.agreement(some, none)
    assert (missed.f1, missed.fn) == (0.0, 3) and math.isnan(missed.shift)
    assert TASK.agreement(none[:0], none[:0]).to_dict()["f1"] is None
    with pytest.raises(ValueError, match="1 sets of boxes cannot be compared with 2"):
        TASK.agreement(some[0], some)


def test_the_iou_decides_what_is_found_and_the_shift_counts_what_moved_further() -> None:
    before = boxes([(100, 100, 200, 200, 0)])
    found = TASK.agreement(before, boxes([(133, 100, 233, 200, 0)]))  # 67 / 133
    assert (found.tp, found.f1, found.shift) == (1, 1.0, pytest.approx(33.0))
    missed = TASK.agreement(before, boxes([(134, 100, 234, 200, 0)]))  # 66 / 134
    assert (missed.tp, missed.fp, missed.fn, missed.shift) == (0, 1, 1, pytest.approx(34.0))
    assert set(found.scores()) >= {"f1", "distortion", "shift_px"}


def test_boxes_of_other_classes_or_images_cannot_be_compared() -> None:
    some = boxes([(0, 0, 9, 9, 0)])
    with pytest.raises(ValueError, match="cannot be compared"):
        TASK.distortion(some, replace(some, names=("car",)))
    with pytest.raises(ValueError, match="resize one first"):
        TASK.distortion(some, some.resized((720, 1280)))


def test_names_count_each_class_from_left_to_right_and_the_score_splits_by_them() -> None:
    before = boxes([(300, 0, 340, 40, 0), (200, 0, 240, 40, 1), (10, 0, 50, 40, 0)])
    assert TASK.box_names(before) == {0: "car 2", 1: "person 1", 2: "car 1"}
    after = boxes([(300, 3, 340, 43, 0), (10, 0, 50, 40, 0), (500, 300, 540, 340, 0)])
    found = TASK.split(before, TASK.distortion(before, after))
    assert list(found) == ["car 1", "car 2", "person 1", "new boxes"]
    assert found["car 2"] == {"shift": pytest.approx(3.0), "stretch": 0.0, "misalignment": 0.0}
    assert found["person 1"]["misalignment"] == found["new boxes"]["misalignment"] == pytest.approx(LOST)
    total = sum(sum(each.values()) for each in found.values())
    assert total == pytest.approx(float(TASK.distortion(before, after).score))


def test_json_has_class_score_and_sides_and_is_read_back() -> None:
    some = boxes([(100.125, 100, 200, 160, 1), (0, 0, 40, 40, 0)], [])
    listed = json.loads(json.dumps(TASK.listed(some)))
    assert listed[0] == {"score": 0.9, "label": "person", "box": [100.12, 100.0, 200.0, 160.0]}
    again = TASK.restored(TASK.record(some), json.loads(json.dumps(TASK.about(some))))
    assert isinstance(again, Boxes2d) and (again.size, again.names) == (SIZE, NAMES)
    assert torch.allclose(again.box, some[0].box, atol=0.01) and torch.equal(again.label, some[0].label)
    assert len(TASK.restored([], TASK.about(some)).objects(0)) == 0
    with pytest.raises(ValueError):
        TASK.restored([{"label": "tram", "box": [0, 0, 1, 1], "score": 1}], TASK.about(some))


def test_batches_of_other_widths_join_and_empty_keeps_the_frames() -> None:
    joined = TASK.join([boxes([(0, 0, 9, 9, 0)]), boxes([], [(0, 0, 9, 9, 0), (0, 0, 5, 5, 1)])])
    assert joined.counts().tolist() == [1, 0, 2] and isinstance(joined, Boxes2d)
    assert TASK.empty(joined).counts().tolist() == [0, 0, 0]
    assert isinstance(TASK, BoxDetection)
