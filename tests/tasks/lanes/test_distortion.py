"""The Lane Distortion Score, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfcore.tasks.lanes import DistortionSettings, Lanes, cat, distortion

SIZE = (360, 640)
ROWS = torch.arange(159.0, 360.0, 4.0)  # 51 rows
PENALTY = 30 / 1640 * 640 / 180  # per point: a lane of 180 px lost costs its drawing width
UPRIGHT = torch.full_like(ROWS, 320.0)
DEFAULT = DistortionSettings()
NONE = torch.full_like(ROWS, torch.nan)


def lanes(*columns: Tensor, rows: Tensor = ROWS, size: tuple[int, int] = SIZE) -> Lanes:
    return Lanes(torch.stack(columns)[None], torch.ones(1, len(columns)), rows, size)


def score(a: Lanes, b: Lanes, how: DistortionSettings = DEFAULT) -> float:
    return float(distortion(a, b, how).score)


def partly(first: int, last: int) -> Tensor:
    """The upright lane from row index ``first`` up to, not with, ``last``."""
    x = NONE.clone()
    x[first:last] = 320.0
    return x


@pytest.mark.parametrize("shift", [0.5, 3.0, -8.0])
def test_a_shift_scores_its_pixels(shift):
    found = distortion(lanes(UPRIGHT), lanes(UPRIGHT + shift))
    assert float(found.score) == pytest.approx(abs(shift), rel=1e-5)
    assert float(found.parts()["misalignment"]) == 0
    # 51 rows, a quarter of them at either end: 13 + 13 of 51 bend.
    assert float(found.bend) == pytest.approx(abs(shift) * 26 / 51, rel=1e-5)


@pytest.mark.parametrize(("lane", "points"), [(UPRIGHT, 51), (partly(10, 30), 20)])
def test_a_lost_or_new_lane_costs_n_v(lane, points):
    """Points stand 1 px apart in height, rows 4 px: a row is 4 points."""
    expected = points * 4 * PENALTY
    lost, new = distortion(lanes(lane), lanes(NONE)), distortion(lanes(NONE), lanes(lane))
    assert float(lost.misalignment) == pytest.approx(expected) and float(lost.extra) == 0
    assert float(new.extra) == pytest.approx(expected) and float(new.misalignment) == 0
    assert score(lanes(lane), lanes(NONE), DistortionSettings(penalty=0.5)) == pytest.approx(points * 4 * 0.5)


def test_losing_a_lane_of_half_the_height_costs_its_drawing_width():
    rows = torch.arange(180.0, 360.0)
    lane = lanes(torch.full_like(rows, 100.0), rows=rows)
    assert score(lane, lanes(torch.full_like(rows, torch.nan), rows=rows)) == pytest.approx(30 / 1640 * 640)


def test_a_shortened_lane_costs_the_points_it_lost():
    found = distortion(lanes(UPRIGHT), lanes(partly(11, 51)))
    assert found.pairs.tolist() == [[0]]
    assert float(found.misalignment) == pytest.approx(11 * 4 * PENALTY)
    assert float(found.bend + found.spike) == 0


def test_lanes_too_far_apart_are_no_pair():
    far = distortion(lanes(UPRIGHT), lanes(UPRIGHT + 100))
    assert far.pairs.tolist() == [[-1]]
    assert float(far.score) == pytest.approx(2 * 51 * 4 * PENALTY)


def test_bend_is_at_the_ends_and_spike_between():
    tip, middle = UPRIGHT.clone(), UPRIGHT.clone()
    tip[:2] += 5.1
    middle[24:26] += 5.1
    bent, spiked = distortion(lanes(UPRIGHT), lanes(tip)), distortion(lanes(UPRIGHT), lanes(middle))
    assert (float(bent.bend), float(bent.spike)) == pytest.approx((2 * 5.1 / 51, 0.0), rel=1e-4)
    assert (float(spiked.bend), float(spiked.spike)) == pytest.approx((0.0, 2 * 5.1 / 51), rel=1e-4)


def test_the_terminal_stretch_is_that_of_the_matched_points():
    """Where only rows 10 to 29 match, rows 10 to 14 and 25 to 29 are their ends."""
    found = distortion(lanes(UPRIGHT), lanes(partly(10, 30)), DistortionSettings(min_iou=0.01))
    assert found.terminal[0, 0].nonzero().flatten().tolist() == [*range(10, 15), *range(25, 30)]
    wide = DistortionSettings(min_iou=0.01, terminal_fraction=0.5)
    assert distortion(lanes(UPRIGHT), lanes(partly(10, 30)), wide).terminal.sum() == 20


def test_scores_of_another_image_size_compare():
    shifted = lanes(UPRIGHT + 4)
    big, big_shifted = lanes(UPRIGHT).resized((720, 1280)), shifted.resized((720, 1280))
    assert score(big, big_shifted) == pytest.approx(4, rel=1e-5)
    none = lanes(NONE)
    assert score(big, none.resized((720, 1280))) == pytest.approx(score(lanes(UPRIGHT), none), rel=1e-5)


def test_one_reference_for_many_and_many_at_once():
    others = cat([lanes(UPRIGHT + k) for k in range(5)])
    assert distortion(lanes(UPRIGHT), others).score.tolist() == pytest.approx([0, 1, 2, 3, 4], abs=1e-4)
    references = cat([lanes(UPRIGHT)] * 5)
    assert distortion(references, others).score.tolist() == pytest.approx([0, 1, 2, 3, 4], abs=1e-4)


def test_rows_must_be_shared():
    with pytest.raises(ValueError, match="share no rows"):
        distortion(lanes(UPRIGHT), lanes(UPRIGHT).resized((720, 1280)))


def lane_sets(seed: int, spread: float) -> tuple[Lanes, Lanes]:
    """A random set of up to four lanes, and the same set moved by up to about ``spread`` px with lanes lost."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.tensor([100.0, 250.0, 400.0, 550.0]).view(1, 4, 1)
    up = torch.linspace(1, 0, len(ROWS))
    x = start + (320 - start) * 0.7 * up + 20 * torch.randn(1, 4, 1, generator=generator) * up**2
    x = torch.where(up < 0.3 + 0.7 * torch.rand(1, 4, 1, generator=generator), x, torch.nan)
    moved = x + spread * torch.randn(1, 4, 1, generator=generator)
    moved += 0.3 * spread * torch.randn(1, 4, len(ROWS), generator=generator)
    moved[torch.rand(1, 4, generator=generator) < 0.2] = torch.nan
    return tuple(Lanes(values, torch.ones(1, 4), ROWS, SIZE) for values in (x, moved))  # type: ignore[return-value]


seeds, spreads = st.integers(0, 100_000), st.floats(0.0, 30.0, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_identity_scores_nothing(seed):
    a, _ = lane_sets(seed, 0.0)
    assert score(a, a) == 0


@settings(max_examples=60, deadline=None)
@given(seeds, spreads)
def test_exchange_changes_nothing(seed, spread):
    a, b = lane_sets(seed, spread)
    assert score(a, b) == pytest.approx(score(b, a), rel=1e-4, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(seeds, spreads)
def test_order_of_lanes_changes_nothing(seed, spread):
    a, b = lane_sets(seed, spread)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    shuffled = Lanes(b.x[:, order], b.score[:, order], ROWS, SIZE)
    assert score(a, shuffled) == pytest.approx(score(a, b), rel=1e-4, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(seeds, spreads)
def test_parts_sum_to_the_score_exactly(seed, spread):
    found = distortion(*lane_sets(seed, spread))
    parts = found.parts()
    assert torch.equal(found.score, parts["bend"] + parts["spike"] + parts["misalignment"])
    assert float(found.lanes.sum() + found.extra.sum()) == pytest.approx(float(found.score), rel=1e-5)
    assert all(float(part.min()) >= 0 for part in (found.bend, found.spike, found.misalignment, found.extra))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 9.0), st.floats(0.01, 0.9), seeds)
def test_grows_with_displacement(shift, more, seed):
    a, _ = lane_sets(seed, 0.0)
    near = Lanes(a.x + shift, a.score, ROWS, SIZE)
    far = Lanes(a.x + shift + more, a.score, ROWS, SIZE)
    assert 0 < score(a, near) < score(a, far)
