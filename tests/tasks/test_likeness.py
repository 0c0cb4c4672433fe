"""How alike images are to a detector."""

from __future__ import annotations

import math

import pytest

from sfcore.tasks.base import TASKS, Prediction
from sfcore.tasks.likeness import likeness

LANES = TASKS["lanes"]


def lanes(*columns: list[float]) -> Prediction:
    """Images with vertical lanes at some columns."""
    about = {"size": (360, 640), "rows": (0.0, 343.0, 50)}
    images = [[[[x, 0.0], [x, 343.0]] for x in each if not math.isnan(x)] for each in columns]
    return LANES.join([LANES.restored(objects, about) for objects in images])


def test_equal_images_are_wholly_alike():
    assert likeness(LANES, lanes(*[[100.0, 300.0]] * 5)) == pytest.approx(1.0)


def test_images_without_a_common_lane_are_not_alike():
    assert likeness(LANES, lanes([100.0], [300.0], [500.0])) == pytest.approx(0.0)


def test_small_movements_lie_between():
    assert 0.8 < likeness(LANES, lanes([100.0], [102.0], [104.0])) < 1.0


def test_one_image_or_no_lanes():
    assert likeness(LANES, lanes([100.0])) == 1.0
    assert likeness(LANES, lanes([float("nan")], [float("nan")])) == 1.0
