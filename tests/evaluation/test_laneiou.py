"""LaneIoU on lanes for which it is known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.evaluation.laneiou import WIDTH, lane_iou, lane_iou_counts
from sfcore.tasks.lanes import Lanes

ROWS = torch.arange(0.0, 400.0, 10.0)
W = 12.0


def lanes(*columns: Tensor) -> Lanes:
    """One image with lanes of these columns."""
    x = torch.stack(columns)[None]
    return Lanes(x, torch.ones(x.shape[:2]), ROWS, (400, 640))


def upright(x: float) -> Tensor:
    return torch.full_like(ROWS, x)


def iou(a: Tensor, b: Tensor) -> float:
    return float(lane_iou(lanes(a), lanes(b), W))


def test_a_lane_has_1_with_itself_and_0_when_moved_by_its_width() -> None:
    assert iou(upright(100), upright(100)) == pytest.approx(1)
    assert iou(upright(100), upright(100 + W)) == pytest.approx(0)
    assert iou(upright(100), upright(100 + W / 2)) == pytest.approx(1 / 3)  # 6 of 18 px


def test_a_lane_at_45_degrees_is_wider_along_rows_by_the_root_of_2() -> None:
    slanted, wide = ROWS + 50, W * math.sqrt(2)
    assert iou(slanted, slanted + wide) == pytest.approx(0, abs=1e-6)  # its width, across its own direction
    assert iou(slanted, slanted + W) == pytest.approx((wide - W) / (wide + W))
    assert iou(slanted, slanted + wide / 2) == pytest.approx(iou(upright(100), upright(100 + W / 2)))


def test_nearer_lanes_have_the_larger_value_even_when_apart() -> None:
    assert iou(upright(100), upright(100 + 2 * W)) == pytest.approx(-1 / 3)  # -12 of 36 px
    assert -1 < iou(upright(100), upright(500)) < iou(upright(100), upright(300)) < 0


def test_missing_length_counts() -> None:
    half = upright(100)
    half[:20] = torch.nan
    assert iou(upright(100), half) == pytest.approx(0.5)
    assert iou(half, upright(100)) == pytest.approx(0.5)
    other = upright(100)
    other[20:] = torch.nan
    assert iou(half, other) == 0


def test_empty_slots_have_0_and_all_pairs_of_all_images_are_compared() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(0, 640, (3, 4, 1)) + rng.normal(0, 1, (3, 4, 1)) * np.arange(40.0))
    x[1, 2] = torch.nan
    a = Lanes(x[:, :2], torch.ones(3, 2), ROWS, (400, 640))
    b = Lanes(x[:, 2:], torch.ones(3, 2), ROWS, (400, 640))
    table = lane_iou(a, b)
    assert table.shape == (3, 2, 2) and table[1, :, 0].tolist() == [0, 0]
    for image, i, j in ((0, 0, 1), (1, 1, 1), (2, 1, 0)):
        alone = lane_iou(lanes(x[image, i]), lanes(x[image, 2 + j]))
        assert float(table[image, i, j]) == pytest.approx(float(alone))
    assert torch.allclose(table, lane_iou(b, a).transpose(1, 2))


def test_the_width_is_15_of_800() -> None:
    width = WIDTH * 640
    assert float(lane_iou(lanes(upright(100)), lanes(upright(100 + width / 2)))) == pytest.approx(1 / 3)


def test_lanes_are_found_from_a_lane_iou_of_one_half() -> None:
    reference = lanes(upright(100), upright(200), upright(300))
    limit = W / 3  # (W - limit) / (W + limit) = 1/2
    scale = WIDTH * 640 / W
    other = lanes(upright(300 + 0.99 * limit * scale), upright(200 + 1.01 * limit * scale), upright(torch.nan))
    counts = lane_iou_counts(reference, other)
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 2)
    assert counts.f1 == pytest.approx(2 / 5)
