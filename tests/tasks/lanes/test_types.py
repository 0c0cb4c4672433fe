"""Lane sets: sampled, joined, resized."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfcore.errors import InputError
from sfcore.tasks.lanes import Lanes, cat

ROWS = torch.arange(0.0, 101.0, 10.0)
SIZE = (101, 200)


def line(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)


def test_polylines_are_sampled_by_linear_interpolation():
    lanes = Lanes.from_polylines([[line((10, 95), (50, 15))]], ROWS, SIZE)
    x = lanes.x[0, 0]
    assert x.isnan().tolist() == [True, True, *[False] * 8, True]
    assert x[2:10].tolist() == pytest.approx([47.5 - 5 * k for k in range(8)])
    assert lanes.score.tolist() == [[1.0]]


def test_polylines_come_back_from_the_bottom_up_and_empty_slots_do_not():
    images = [[line((10, 20), (40, 80))], [], [line((1, 0), (1, 100)), line((5, 50), (9, 90))]]
    lanes = Lanes.from_polylines(images, ROWS, SIZE, [[0.5], [], [0.9, 0.8]])
    assert lanes.present.tolist() == [[True, False], [False, False], [True, True]]
    assert lanes.polylines(1) == [] and lanes.scores(1) == []
    assert lanes.scores(2) == pytest.approx([0.9, 0.8])
    (back,) = lanes.polylines(0)
    assert back[0].tolist() == [40, 80] and back[-1].tolist() == [10, 20] and len(back) == 7


def test_a_single_point_is_no_lane():
    lanes = Lanes.from_polylines([[line((10, 50)), line((10, 48), (11, 52))]], ROWS, SIZE)
    assert not lanes.present.any()
    assert lanes.polylines(0) == []


def test_resized_scales_both_axes():
    lanes = Lanes.from_polylines([[line((10, 0), (40, 100))]], ROWS, SIZE).resized((202, 100))
    assert lanes.polylines(0)[0][0] == pytest.approx([20, 200])
    assert lanes.row_step == pytest.approx(20) and lanes.size == (202, 100)


def test_cat_pads_with_absent_lanes():
    one = Lanes.from_polylines([[line((10, 0), (10, 100))]], ROWS, SIZE)
    three = Lanes.from_polylines([[line((k, 0), (k, 100)) for k in (1, 2, 3)]], ROWS, SIZE)
    both = cat([one, three])
    assert both.x.shape == (2, 3, 11)
    assert both.present.tolist() == [[True, False, False], [True, True, True]]
    assert both[1].polylines(0)[2][0, 0] == 3


def test_compact_drops_slots_that_no_image_uses():
    x = torch.full((2, 4, 11), torch.nan)
    x[0, 1], x[1, 3] = 5.0, 7.0
    lanes = Lanes(x, torch.arange(8.0).view(2, 4), ROWS, SIZE).compact()
    assert lanes.score.tolist() == [[1.0, 3.0], [5.0, 7.0]]
    assert lanes.present.tolist() == [[True, False], [False, True]]
    empty = Lanes(torch.full((2, 4, 11), torch.nan), torch.zeros(2, 4), ROWS, SIZE).compact()
    assert empty.x.shape == (2, 1, 11) and not empty.present.any()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="R = 11"):
        Lanes(torch.zeros(1, 2, 10), torch.zeros(1, 2), ROWS, SIZE)
    with pytest.raises(ValueError, match="score"):
        Lanes(torch.zeros(1, 2, 11), torch.zeros(1, 3), ROWS, SIZE)


@pytest.mark.parametrize("bad", [np.zeros((4, 3)), np.zeros(6), line((1, 2), (np.nan, 4))])
def test_bad_polylines_are_named(bad):
    good = line((10, 0), (10, 100))
    with pytest.raises(InputError, match="lane 1 of image 1"):
        Lanes.from_polylines([[good], [good, bad]], ROWS, SIZE)
