"""Overlap and pairing of lanes."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfcore.tasks.lanes import Lanes, half_widths, iou, lane_width, pair

SIZE = (590, 1640)
ROWS = torch.arange(290.0, 590.0, 5.0)


def lanes(*columns: Tensor) -> Lanes:
    return Lanes(torch.stack(columns)[None], torch.ones(1, len(columns)), ROWS, SIZE)


def curve(bottom: float, slope: float, bend: float) -> Tensor:
    up = ROWS[-1] - ROWS
    return bottom + slope * up + bend * (up / 100) ** 2


def drawn(x: Tensor) -> np.ndarray:
    """The lane as pixels, 30 px wide, cut off above and below its rows as intervals on rows are."""
    canvas = np.zeros(SIZE, np.uint8)
    points = np.stack([x.numpy(), ROWS.numpy()], 1)
    cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, 1, 30, shift=4)
    canvas[: int(ROWS[0])] = 0
    return canvas[: int(ROWS[-1]) + 1].astype(bool)


def test_width_is_30_at_1640():
    assert lane_width(SIZE) == pytest.approx(30)
    assert lane_width((360, 640)) == pytest.approx(11.707, abs=1e-3)


def test_half_widths_follow_the_slope_to_the_ends_of_a_lane():
    x = curve(800, 0.75, 0)
    x[10:12], x[40:] = torch.nan, torch.nan
    found = half_widths(lanes(x), 8.0)[0, 0]
    assert found[~x.isnan()].tolist() == pytest.approx([4 * 1.25] * 38)


def test_half_width_of_a_lone_point_is_that_of_an_upright_lane():
    x = torch.full_like(ROWS, torch.nan)
    x[7] = 3.0
    assert half_widths(lanes(x), 8.0)[0, 0, 7] == 4.0


def test_iou_by_hand():
    upright = torch.full_like(ROWS, 500.0)
    half = upright.clone()
    half[30:] = torch.nan
    absent = torch.full_like(ROWS, torch.nan)
    found = iou(lanes(upright), lanes(upright + 10, half, upright + 30, absent))
    assert found[0, 0].tolist() == pytest.approx([20 / 40, 0.5, 0.0, 0.0])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((800, 0.3, 5), (812, 0.3, 5)),
        ((400, 1.2, 10), (410, 1.15, 14)),
        ((900, -0.8, -8), (880, -0.7, -8)),
        ((700, 0.5, 30), (700, 0.4, 30)),
        ((700, 0.5, 0), (700, -0.5, 0)),
    ],
)
def test_iou_agrees_with_drawn_lanes(a, b):
    x, y = curve(*a), curve(*b)
    pixels_a, pixels_b = drawn(x), drawn(y)
    expected = (pixels_a & pixels_b).sum() / (pixels_a | pixels_b).sum()
    assert float(iou(lanes(x), lanes(y))) == pytest.approx(expected, abs=0.02)


def test_iou_is_symmetric_and_compares_one_image_with_many():
    torch.manual_seed(0)
    x = 500 + 40 * torch.randn(5, 3, 1) + torch.zeros(len(ROWS))
    x[torch.rand(5, 3) < 0.2] = torch.nan
    many = Lanes(x, torch.ones(5, 3), ROWS, SIZE)
    one = lanes(curve(500, 0, 0), curve(560, 0.1, 0))
    found = iou(one, many)
    assert found.shape == (5, 2, 3)
    assert torch.equal(found, torch.cat([iou(one, many[i]) for i in range(5)]))
    assert torch.equal(found.transpose(1, 2), iou(many, one))


def total(similarity: Tensor, pairs: Tensor) -> float:
    return sum(float(similarity[row, column]) for row, column in enumerate(pairs.tolist()) if column >= 0)


def best_total(allowed: Tensor) -> float:
    """Over all ways to pair rows with columns."""
    table = allowed if allowed.shape[0] <= allowed.shape[1] else allowed.T
    rows, columns = table.shape
    return max(sum(float(table[r, c]) for r, c in enumerate(p)) for p in permutations(range(columns), rows))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 3), (3, 5), (1, 4), (5, 5)])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_pairs_have_the_largest_total(shape, share):
    generator = torch.Generator().manual_seed(hash(shape) % 1000)
    similarity = torch.rand(40, *shape, generator=generator)
    similarity *= torch.rand(40, *shape, generator=generator) < share
    pairs = pair(similarity, 0.2)
    for table, chosen in zip(similarity, pairs, strict=True):
        used = [c for c in chosen.tolist() if c >= 0]
        assert len(set(used)) == len(used)
        assert all(float(table[r, c]) >= 0.2 for r, c in enumerate(chosen.tolist()) if c >= 0)
        assert total(table, chosen) == pytest.approx(best_total(torch.where(table >= 0.2, table, 0.0)), abs=1e-5)


def test_pairing_gives_up_the_best_pair_for_the_best_total():
    similarity = torch.tensor([[[0.9, 0.8], [0.8, 0.1]]])
    assert pair(similarity, 0.05).tolist() == [[1, 0]]


def test_pairs_under_the_minimum_are_none():
    similarity = torch.tensor([[[0.09, 0.0], [0.0, 0.11]]])
    assert pair(similarity, 0.1).tolist() == [[-1, 1]]
    assert pair(torch.zeros(2, 3, 2), 0.0).tolist() == [[-1] * 3] * 2
    assert pair(torch.zeros(2, 3, 0), 0.1).tolist() == [[-1] * 3] * 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_pairing_does_not_depend_on_order(seed, rows, columns):
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(1, rows, columns, generator=generator)
    shuffle = torch.randperm(columns, generator=generator)
    pairs, moved = pair(similarity, 0.1)[0], pair(similarity[:, :, shuffle], 0.1)[0]
    assert [int(shuffle[c]) if c >= 0 else -1 for c in moved.tolist()] == pairs.tolist()
    assert total(similarity[0].T, pair(similarity.transpose(1, 2), 0.1)[0]) == pytest.approx(
        total(similarity[0], pairs), abs=1e-6
    )
