"""How alike images are to a detector."""

from __future__ import annotations

import pytest
import torch

from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.likeness import likeness


def lanes(*columns: list[float]) -> Lanes:
    """Images with vertical lanes at some columns."""
    x = torch.tensor(columns).unsqueeze(-1).expand(-1, -1, 50).contiguous()
    return Lanes(x, torch.ones(x.shape[:2]), torch.arange(50) * 7.0, (360, 640))


def test_equal_images_are_wholly_alike():
    assert likeness(lanes(*[[100.0, 300.0]] * 5)) == pytest.approx(1.0)


def test_images_without_a_common_lane_are_not_alike():
    assert likeness(lanes([100.0], [300.0], [500.0])) == pytest.approx(0.0)


def test_small_movements_lie_between():
    assert 0.8 < likeness(lanes([100.0], [102.0], [104.0])) < 1.0


def test_one_image_or_no_lanes():
    assert likeness(lanes([100.0])) == 1.0
    assert likeness(lanes([float("nan")], [float("nan")])) == 1.0
