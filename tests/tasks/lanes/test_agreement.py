"""Agreement of two sets of lanes, on cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement, nearest_pairs

SIZE = (360, 640)  # one pixel here is one pixel at 640 px width
ROWS = torch.arange(100.0, 360.0, 4.0)


def vertical(*columns: float, top: float = 100, bottom: float = 356) -> list[np.ndarray]:
    return [np.array([[x, bottom], [x, top]]) for x in columns]


def lanes(*images: list[np.ndarray]) -> Lanes:
    return Lanes.from_polylines(list(images), ROWS, SIZE)


def test_equal_lanes_agree_completely() -> None:
    some = lanes(vertical(100, 300), vertical(200))
    found = agreement(some, some)
    assert (found.images, found.tp, found.fp, found.fn) == (2, 3, 0, 0)
    assert (found.f1, found.distortion, found.shift) == (1.0, 0.0, 0.0)


def test_a_small_shift_is_found_and_measured() -> None:
    found = agreement(lanes(vertical(100, 300)), lanes(vertical(102, 300)))
    assert found.f1 == 1.0
    assert found.shift == pytest.approx(1.0)  # one of two equally long lanes by 2 px
    assert found.distortion == pytest.approx(2.0)  # a lane shifted by 2 px scores 2


def test_the_iou_decides_what_is_found() -> None:
    # Strokes of width w = 30/1640*640 = 11.7 px, s apart: IoU = (w - s) / (w + s), under 0.5 from s = 3.9 on.
    assert agreement(lanes(vertical(100)), lanes(vertical(103.8))).tp == 1
    missed = agreement(lanes(vertical(100)), lanes(vertical(104)))
    assert (missed.tp, missed.fp, missed.fn, missed.f1) == (0, 1, 1, 0.0)


def test_large_shifts_count_with_their_whole_distance() -> None:
    found = agreement(lanes(vertical(100, 300)), lanes(vertical(160, 360)))
    assert found.tp == 0
    assert found.shift == pytest.approx(60)


def test_pixels_are_counted_at_640_px_width() -> None:
    small, other = lanes(vertical(100)), lanes(vertical(110))
    assert agreement(small.resized((720, 1280)), other.resized((720, 1280))).shift == pytest.approx(10)


def test_as_many_lanes_as_possible_are_paired() -> None:
    # Nearest first would pair 200 with 190 and leave 100 with 400; together they are nearest crosswise.
    pairs = nearest_pairs(lanes(vertical(100, 200)), lanes(vertical(190, 400)))
    assert pairs.tolist() == [[0, 1]]


def test_lanes_without_shared_rows_do_not_pair() -> None:
    far, near = vertical(100, top=100, bottom=180), vertical(100, top=240, bottom=356)
    found = agreement(lanes(far), lanes(near))
    assert math.isnan(found.shift)
    assert found.to_dict()["shift_px"] is None


def test_images_without_lanes_agree() -> None:
    found = agreement(lanes([], []), lanes([], []))
    assert (found.images, found.precision, found.recall, found.f1, found.shift) == (2, 1, 1, 1, 0)


def test_lost_and_invented_lanes() -> None:
    found = agreement(lanes(vertical(100, 300), []), lanes(vertical(100), vertical(500)))
    assert (found.tp, found.fp, found.fn) == (1, 1, 1)
    assert found.precision == found.recall == found.f1 == 0.5
    assert found.shift == 0  # what has no partner is counted by F1 and distortion


def test_the_order_of_lanes_does_not_matter() -> None:
    reference = lanes(vertical(100, 300, 500))
    assert agreement(reference, lanes(vertical(498, 101, 305))) == agreement(reference, lanes(vertical(101, 305, 498)))


def test_different_numbers_of_images_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 lane sets"):
        agreement(lanes([], []), lanes([]))
