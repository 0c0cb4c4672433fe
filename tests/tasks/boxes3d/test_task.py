"""Boxes in point clouds: distortion, agreement, names and JSON, on cases worked out by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfcore.promises import Broken
from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes3d import Boxes3d
from sfcore.tasks.boxes3d.promises import boxes_on_the_ground

TASK = TASKS["boxes3d"]
EXTENT = (0.0, -40.0, 80.0, 40.0)
NAMES = ("vehicle", "pedestrian")
LOST = 20.0  # dm
CAR = (20.0, 5.0, -1.0, 4.0, 2.0, 1.6, 0.3)

Given = tuple[float, ...]


def boxes(*frames: list[Given], label: int = 0) -> Boxes3d:
    """Boxes by their seven numbers; each is sure by 0.9, 0.8, ..."""
    rows = [[np.array([*each, label, 0.9 - 0.1 * place]) for place, each in enumerate(frame)] for frame in frames]
    return Boxes3d.from_objects(rows, NAMES, EXTENT)


def car(**changes: float) -> Given:
    names = ("x", "y", "z", "l", "w", "h", "yaw")
    return tuple((dict(zip(names, CAR, strict=True)) | changes).values())


def parts(reference: Boxes3d, other: Boxes3d) -> list[float]:
    return [float(value) for value in TASK.distortion(reference, other).parts().values()]


def test_a_moved_centre_is_shift_in_space() -> None:
    moved = car(x=20.2, y=5.1, z=-0.8)
    assert parts(boxes([CAR]), boxes([moved])) == [pytest.approx(3.0, abs=1e-4), 0.0, 0.0]


def test_a_changed_size_is_the_distance_that_corners_move() -> None:
    longer = parts(boxes([CAR]), boxes([car(l=4.6, h=2.4)]))  # every corner moves by 3 dm along and 4 dm up
    assert longer == [0.0, pytest.approx(5.0, abs=1e-4), 0.0]


def test_a_changed_heading_is_the_chord_that_corners_run() -> None:
    turned = parts(boxes([CAR]), boxes([car(yaw=0.4)]))
    assert turned == [0.0, pytest.approx(10 * math.sqrt(20) * math.sin(0.05), abs=1e-4), 0.0]
    whole = parts(boxes([CAR]), boxes([car(yaw=0.3 - 2 * math.pi)]))
    assert whole == [0.0, pytest.approx(0.0, abs=1e-4), 0.0]


def test_a_car_that_looks_the_other_way_counts_as_a_lost_one_and_a_pedestrian_as_far_as_its_corners_swap() -> None:
    assert parts(boxes([CAR]), boxes([car(yaw=0.3 + math.pi)])) == [0.0, LOST, 0.0]
    walker = car(l=0.6, w=0.8)
    turned = parts(boxes([walker]), boxes([car(l=0.6, w=0.8, yaw=0.3 + math.pi)]))
    assert turned == [0.0, pytest.approx(10.0, abs=1e-4), 0.0]


def test_lost_invented_and_renamed_boxes_are_misaligned() -> None:
    both, one = boxes([CAR, car(x=40.0)]), boxes([car(x=40.0)])
    assert parts(both, one) == [0.0, 0.0, LOST]
    assert parts(boxes([]), both) == [0.0, 0.0, 2 * LOST]
    assert parts(one, replace(one, label=torch.ones_like(one.label))) == [0.0, 0.0, 2 * LOST]


def test_boxes_pair_from_a_tenth_of_shared_ground_on_whatever_their_height() -> None:
    near, far = car(y=5.0 + 1.6, yaw=0.0), car(y=5.0 + 1.7, yaw=0.0)  # shares .4 / 3.6 and .3 / 3.7 of the ground
    straight = boxes([car(yaw=0.0)])
    assert parts(straight, boxes([near])) == [pytest.approx(16.0, abs=1e-4), 0.0, 0.0]
    assert parts(straight, boxes([far])) == [0.0, 0.0, 2 * LOST]
    above = boxes([car(yaw=0.0, z=4.0)])
    assert parts(straight, above) == [LOST, 0.0, 0.0]  # no more, however far it moved
    assert TASK.agreement(straight, above).shift == pytest.approx(50.0, abs=1e-4)


def test_one_reference_stands_for_all_frames() -> None:
    before = boxes([CAR, car(x=40.0)])
    together = TASK.distortion(before, boxes([car(x=20.3)], [], [car(x=40.0), car(y=5.2)]))
    assert together.score.tolist() == pytest.approx([3 + LOST, 2 * LOST, 2.0], abs=1e-4)
    assert together.pairs.tolist() == [[0, -1], [-1, -1], [1, 0]]


STEP = st.integers(-30, 30).map(lambda step: step / 10)
SIDE = st.integers(3, 80).map(lambda side: side / 10)
SETS = st.lists(st.tuples(STEP, STEP, STEP, SIDE, SIDE, SIDE, STEP), max_size=5)


@given(SETS, SETS)
@settings(max_examples=60, deadline=None)
def test_score_is_the_sum_of_its_parts(first: list[Given], second: list[Given]) -> None:
    a, b = boxes(first), boxes(second)
    moved = TASK.distortion(a, b)
    found = moved.parts()
    assert torch.equal(moved.score, found["shift"] + found["stretch"] + found["misalignment"])
    pairs = int((moved.pairs >= 0).sum())
    assert float(found["misalignment"]) == LOST * (len(first) + len(second) - 2 * pairs)
    assert float(found["stretch"]) <= LOST * pairs + 1e-3


def test_equal_boxes_agree_and_the_shared_ground_decides_what_is_found() -> None:
    some = boxes([CAR, car(x=40.0)], [])
    found = TASK.agreement(some, some)
    assert (found.images, found.tp, found.f1, found.distortion, found.shift) == (2, 2, 1.0, 0.0, 0.0)
    straight = boxes([car(yaw=0.0)])
    found = TASK.agreement(straight, boxes([car(yaw=0.0, y=5.6)]))  # 1.4 / 2.6
    assert (found.tp, found.fp, found.fn, found.shift) == (1, 0, 0, pytest.approx(6.0, abs=1e-4))
    missed = TASK.agreement(straight, boxes([car(yaw=0.0, y=5.8)]))  # 1.2 / 2.8
    assert (missed.tp, missed.fp, missed.fn, missed.shift) == (0, 1, 1, pytest.approx(8.0, abs=1e-4))
    assert "shift_dm" in found.scores()


def test_names_count_each_class_from_near_to_far_and_the_score_splits_by_them() -> None:
    before = boxes([car(x=40.0), car(x=10.0)])
    assert TASK.box_names(before) == {0: "vehicle 2", 1: "vehicle 1"}
    found = TASK.split(before, TASK.distortion(before, boxes([car(x=10.5), car(x=60.0)])))
    assert list(found) == ["vehicle 1", "vehicle 2", "new boxes"]
    assert found["vehicle 1"]["shift"] == pytest.approx(5.0, abs=1e-4)
    assert found["vehicle 2"]["misalignment"] == found["new boxes"]["misalignment"] == LOST


def test_json_has_class_score_centre_size_and_heading_and_is_read_back() -> None:
    some = boxes([CAR], [])
    listed = json.loads(json.dumps(TASK.listed(some)))
    assert listed == [
        {"score": 0.9, "label": "vehicle", "center": [20.0, 5.0, -1.0], "size": [4.0, 2.0, 1.6], "yaw": 0.3}
    ]
    again = TASK.restored(TASK.record(some), json.loads(json.dumps(TASK.about(some))))
    assert isinstance(again, Boxes3d) and (again.extent, again.names) == (EXTENT, NAMES)
    assert torch.allclose(again.box, some[0].box, atol=1e-3) and torch.equal(again.label, some[0].label)
    for broken in ({"label": "tram"}, {"size": [4.0, 2.0]}, {"yaw": math.nan}):
        with pytest.raises(ValueError):
            TASK.restored([listed[0] | broken], TASK.about(some))


class Decoded:
    """What a promise looks at, of a detector that always answers the same."""

    outputs = noisy = None

    def __init__(self, found: Boxes3d) -> None:
        self.found, self.detector = found, self

    def decode(self, outputs: None) -> Boxes3d:
        return self.found


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (boxes([car(w=-2.0)]), "no length, width or height"),
        (boxes([car(x=500.0)]), "far outside"),
        (boxes([CAR], label=2), "labels leave 0 to 1"),
        (replace(boxes([CAR]), extent=(0.0, 0.0, 0.0, 9.0)), "is empty"),
        (replace(boxes([CAR]), names=()), "no names"),
    ],
)
def test_a_detector_keeps_its_promises(broken: Boxes3d, why: str) -> None:
    boxes_on_the_ground(Decoded(boxes([CAR], [])))  # type: ignore[arg-type]
    with pytest.raises(Broken, match=why):
        boxes_on_the_ground(Decoded(broken))  # type: ignore[arg-type]
