"""Lateral deviation with a camera worked out by hand, and on rendered roads whose geometry is exact."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from sfcore.datasets.scenes.geometry import Course, View, lane_label
from sfcore.errors import InputError
from sfcore.evaluation.lateral import lateral_deviation, road_camera, to_road
from sfcore.tasks.lanes import Lanes

SIZE = (360, 640)
ROWS = torch.arange(0.0, 360.0, 4.0)
CAMERA = road_camera(SIZE, height=1.5, pitch=3.0, focal=500.0)


def road_lanes(*s: float) -> Lanes:
    """Straight lane lines, metres right of the camera."""
    view = View(CAMERA, Course(), SIZE)
    return Lanes.from_polylines([[lane_label(view, each, 120.0) for each in s]], ROWS, SIZE)


def test_a_point_on_the_ground_worked_out_by_hand() -> None:
    level = road_camera((201, 401), height=1.2, focal=400.0)  # axis at 200, 100
    # 12 m ahead the road is 1.2 m below the axis: 400 * 1.2 / 12 = 40 rows down; 3 m are 100 columns.
    x, z = to_road(torch.tensor([300.0, 140.0]), level).tolist()
    assert (x, z) == pytest.approx((3.0, 12.0))
    looking_down = road_camera((201, 401), height=2.0, pitch=45.0, focal=400.0)
    assert to_road(torch.tensor([200.0, 100.0]), looking_down).tolist() == pytest.approx([0.0, 2.0])


def test_the_horizon_and_the_sky_are_nowhere_on_the_road() -> None:
    horizon = CAMERA.cy - CAMERA.focal * math.tan(CAMERA.pitch)
    pixels = torch.tensor([[320.0, horizon + 1], [320.0, horizon], [320.0, horizon - 50]], dtype=torch.float64)
    assert to_road(pixels, CAMERA).isnan().all(-1).tolist() == [False, True, True]


def test_projection_and_its_inverse_agree() -> None:
    points = np.random.default_rng(0).uniform([-8, 2], [8, 150], (50, 2))
    pixels = CAMERA.project(points[:, 0], np.zeros(50), points[:, 1])
    assert np.allclose(to_road(torch.from_numpy(pixels), CAMERA).numpy(), points)


def test_the_field_of_view_gives_the_focal_length() -> None:
    assert road_camera(SIZE, 1.5, field_of_view=90.0).focal == pytest.approx(180)
    wide, tall = road_camera(SIZE, 1.5, field_of_view=40.0), road_camera((720, 1280), 1.5, field_of_view=40.0)
    assert tall.focal == pytest.approx(2 * wide.focal)


def test_labels_of_a_flat_straight_road_are_parallel_lines() -> None:
    view = View(CAMERA, Course(), SIZE)
    for s in (-5.25, -1.75, 1.75, 5.25):
        road = to_road(torch.from_numpy(lane_label(view, s, 80.0)), CAMERA)
        assert torch.allclose(road[:, 0], torch.tensor(s, dtype=road.dtype), atol=1e-3)  # all 3.5 m apart
        assert len(road) > 20 and road[-1, 1] > 60


def test_a_lane_20_cm_off_is_20_cm_off_at_every_distance() -> None:
    found = lateral_deviation(road_lanes(-1.75, 1.75), road_lanes(1.95, -1.55), CAMERA)
    assert found.distances == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    assert found.mean == pytest.approx(0.2, abs=2e-3) and found.p95 == pytest.approx(0.2, abs=2e-3)
    assert found.means == pytest.approx((0.2,) * 10, abs=2e-3)
    assert found.counts == (2,) * 10


def test_distances_that_one_lane_does_not_reach_are_left_out() -> None:
    short = road_lanes(-1.75, 1.75)
    short.x[0, 0, : int((CAMERA.row(0.0, 22.0)) // 4) + 1] = torch.nan
    found = lateral_deviation(road_lanes(-1.75, 1.75), short, CAMERA, (2.0, 10.0, 20.0, 30.0))
    assert found.counts == (0, 2, 2, 1)  # 2 m ahead is below the image
    assert math.isnan(found.means[0]) and found.to_dict()["means"][0] is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_95th_percentile_is_of_single_values() -> None:
    reference, other = road_lanes(*range(-10, 10)), road_lanes(*(s + 0.1 for s in range(-10, 10)))
    other.x[0, 10:12] += 0.5 * CAMERA.focal / CAMERA.depth(0.0, 20.0)  # half a metre more, for two lanes of twenty
    at_20 = lateral_deviation(reference, other, CAMERA, [20.0])
    assert at_20.counts == (20,)
    assert (at_20.mean, at_20.p95) == pytest.approx((0.15, 0.6), abs=2e-3)


def test_without_pairs_there_is_no_deviation() -> None:
    nothing = Lanes(torch.full((1, 2, len(ROWS)), torch.nan), torch.zeros(1, 2), ROWS, SIZE)
    found = lateral_deviation(road_lanes(-1.75, 1.75), nothing, CAMERA)
    assert math.isnan(found.mean) and found.counts == (0,) * 10
    assert found.to_dict()["mean"] is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"height": 0.0, "focal": 500.0}, "height over 0 m"),
        ({"height": 1.5, "focal": 500.0, "pitch": 90.0}, "pitch within 90°"),
        ({"height": 1.5}, "either the focal length"),
        ({"height": 1.5, "focal": 500.0, "field_of_view": 40.0}, "either the focal length"),
        ({"height": 1.5, "field_of_view": 180.0}, "field of view of 180"),
        ({"height": 1.5, "focal": -1.0}, "focal length of -1"),
    ],
)
def test_impossible_cameras_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        road_camera(SIZE, **settings)
    with pytest.raises(InputError, match="in front of the camera"):
        lateral_deviation(road_lanes(1.75), road_lanes(1.75), CAMERA, [0.0])
