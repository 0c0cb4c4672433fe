"""Rendered sweeps: rays end at the nearest surface, boxes hold what they name, a seed says it all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sfcore.datasets.images import content_hash, find_images
from sfcore.datasets.lidar import NAMES, render, sweep
from sfcore.datasets.lidar.bodies import KINDS, MARGIN, body
from sfcore.datasets.lidar.files import FORMATS, read_points
from sfcore.datasets.lidar.ground import Street, seen_ground
from sfcore.datasets.lidar.prisms import Prism, cast, rectangle, ring
from sfcore.datasets.lidar.render import SCANNERS, SEEN, count_inside
from sfcore.datasets.lidar.samples import SAMPLES
from sfcore.datasets.source import is_there
from sfcore.datasets.sources import sweeps
from sfcore.errors import InputError
from sfcore.resources import sample_data

COLUMNS = 360
AZIMUTH = (np.arange(COLUMNS) + 0.5) * (2 * np.pi / COLUMNS) - np.pi
AHEAD = COLUMNS // 2  # the column half a degree left of straight ahead
FLAT = Street(0, 0, 0, 500, 2, 0, np.inf, 3, np.zeros(2), np.zeros((0, 4)), 2.0)


def beams(*elevations: float) -> np.ndarray:
    return np.tan(np.radians(elevations))


def hits(*prisms: Prism, rise: np.ndarray) -> np.ndarray:
    return cast(prisms, AZIMUTH, rise, np.random.default_rng(0)).ground


def test_a_ray_ends_at_a_side_on_a_top_or_below_a_bottom() -> None:
    box = Prism(rectangle(10, 0, 4, 2, 0), -1, 1, 0.5)
    ground = hits(box, rise=beams(0, -10, 8, -5.4, 5.4))[:, AHEAD] * np.cos(AZIMUTH[AHEAD])
    assert ground == pytest.approx([8, np.inf, np.inf, 8, 8])
    low = Prism(rectangle(10, 0, 4, 2, 0), -3, -1, 0.5)
    assert hits(low, rise=beams(-6))[0, AHEAD] == pytest.approx(1 / np.tan(np.radians(6)))  # on its top, 9.5 m away
    high = Prism(rectangle(10, 0, 4, 2, 0), 1, 3, 0.5)
    assert hits(high, rise=beams(6))[0, AHEAD] == pytest.approx(1 / np.tan(np.radians(6)))


def test_the_nearer_hides_the_farther_in_whatever_order_they_are_given() -> None:
    near, far = Prism(rectangle(5, 0, 1, 1, 0.3), -1, 0.8, 0.1), Prism(rectangle(20, 0, 1, 20, 0), -1, 5, 0.9)
    for prisms in ((near, far), (far, near)):
        found = cast(prisms, AZIMUTH, beams(0, 12), np.random.default_rng(0))
        assert found.reflectance[:, AHEAD].tolist() == [0.1, 0.9]  # the upper beam passes above the near one
        assert found.ground[0, AHEAD] < 5 < 19 < found.ground[1, AHEAD]
    shadow = np.isclose(found.reflectance[0], 0.1).sum()
    assert shadow == pytest.approx(2 * np.degrees(np.arctan(0.62 / 5)), abs=2)


@pytest.mark.parametrize(("x", "y"), [(-6, 0), (-6, 0.4), (0, 5), (3, -4)])
def test_prisms_are_met_all_around_also_where_the_turn_begins(x: float, y: float) -> None:
    ground = hits(Prism(ring(x, y, 1.0), -1, 1, 0.5), rise=beams(0))[0]
    met = np.isfinite(ground)
    away = np.hypot(x, y)
    assert met.sum() == pytest.approx(2 * np.degrees(np.arcsin(1 / away)), abs=2)
    assert away - 1 <= ground[met].min() <= away - 0.9
    ends = np.stack([ground[met] * np.cos(AZIMUTH[met]), ground[met] * np.sin(AZIMUTH[met])], 1)
    assert np.hypot(*(ends - [x, y]).T).max() <= 1.0 + 1e-9


def test_rays_pass_through_what_is_clear_as_often_as_it_says() -> None:
    wall = Prism(rectangle(0, 10, 60, 1, 0), -5, 5, 0.5, clear=0.7)
    ground = hits(wall, rise=beams(*np.linspace(-10, 10, 40)))
    seen = np.isfinite(ground[:, np.abs(AZIMUTH - np.pi / 2) < 0.5])
    assert seen.mean() == pytest.approx(0.3, abs=0.05)


def test_flat_ground_is_met_where_trigonometry_says_and_hills_hide_what_is_behind() -> None:
    rise = beams(-30, -10, -2, 0, 5)
    ground = seen_ground(FLAT, AZIMUTH, rise).ground
    expected = np.array([2 / np.tan(np.radians(30)), 2 / np.tan(np.radians(10)), 2 / np.tan(np.radians(2))])
    assert ground[:3] == pytest.approx(np.repeat(expected[:, None], COLUMNS, 1))
    assert np.isinf(ground[3:]).all()
    hill = Street(0, 0, 0, 500, 2, 0, np.inf, 3, np.array([0.06, 0]), np.zeros((0, 4)), 2.0)  # uphill ahead
    ahead = seen_ground(hill, AZIMUTH, rise).ground[:, AHEAD]
    assert ahead[:4] == pytest.approx(2 / (0.06 - rise[:4]), rel=1e-3) and np.isinf(ahead[4])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.build.__name__)
def test_a_body_fills_its_box_but_for_the_margin(kind: object) -> None:
    generator = np.random.default_rng(3)
    for _ in range(60):
        name = kind.name  # type: ignore[attr-defined]
        made = body(name, (0.0, 0.0, -1.7, 0.0), generator)
        corners = np.concatenate([prism.corners for prism in made.prisms])
        length, width, height = made.box[3:6]
        reach = np.abs(corners).max(0)
        assert reach[0] <= length / 2 - MARGIN + 1e-9 and reach[1] <= width / 2 - MARGIN + 1e-9
        assert length / 2 - reach[0] < 0.25
        assert min(prism.low for prism in made.prisms) == pytest.approx(-1.7)
        assert max(prism.high for prism in made.prisms) == pytest.approx(height - 1.7 - MARGIN)


@pytest.mark.parametrize("count", SCANNERS)
def test_a_sweep_is_the_same_each_time_and_another_of_another_seed(count: int) -> None:
    one, again, other = sweep(5, count), sweep(5, count), sweep(6, count)
    assert np.array_equal(one.points, again.points) and np.array_equal(one.boxes, again.boxes)
    assert not np.array_equal(one.points[:100], other.points[:100])
    assert one.points.dtype == np.float32 and 10_000 < len(one.points) <= 65_536
    assert np.isfinite(one.points).all() and one.points[:, 3].min() >= 0 and one.points[:, 3].max() <= 1
    angles = np.degrees(np.arctan2(one.points[:, 1], one.points[:, 0]))
    assert np.histogram(angles, 36, (-180, 180))[0].min() > 100  # all around


@pytest.mark.parametrize("seed", range(4))
def test_labelled_boxes_hold_their_points_and_stand_apart_on_the_ground(seed: int) -> None:
    found = sweep(seed)
    assert found.names == NAMES and set(found.labels) <= {0, 1, 2} and len(found.boxes) > 5
    assert (found.points_inside >= SEEN).all()
    assert np.array_equal(found.points_inside, count_inside(found.points, found.boxes))
    x, y, _, length, width, _, yaw = found.boxes.T
    assert (length >= width * 0.6).all() and (np.abs(yaw) <= np.pi).all()
    for place, box in enumerate(found.boxes):
        grown = box.copy()
        grown[3:6] += 0.6
        near = count_inside(found.points[found.points[:, 2] > box[2] - box[5] / 2 + 0.3], np.stack([box, grown]))
        assert near[0] > 0.8 * near[1] - 6, f"box {place} misses points of its body"
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + np.eye(len(x)) * 99
    assert (apart > (width[:, None] + width) / 2 * 0.9).all()


def test_the_count_of_points_inside_follows_the_heading() -> None:
    box = np.array([[10.0, 5, 0, 4, 2, 2, np.pi / 2]])
    assert count_inside(np.array([[10, 6.9, 0, 0], [11.9, 5, 0, 0], [10, 5, 1.1, 0]]), box).tolist() == [1]


def test_sweeps_are_a_source_and_written_nowhere() -> None:
    frames = find_images(["sweeps:3,seed=7,beams=32"], formats=FORMATS)
    assert [str(frame) for frame in frames] == [f"sweeps:3,seed=7,beams=32/00000{number}" for number in range(3)]
    assert is_there(frames[0]) and find_images([frames[1]], formats=FORMATS) == [frames[1]]
    made = sweeps.rendered(frames[2])
    assert np.array_equal(made.points, sweep(sweeps.FIRST + 70_002, 32).points)
    assert find_images(["sweeps:9[3:5]"], formats=FORMATS) == find_images(["sweeps:9"], formats=FORMATS)[3:5]


def test_the_hash_tells_sweeps_apart_without_rendering_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_scanned", None)
    named = [
        content_hash(find_images([name], formats=FORMATS)) for name in ("sweeps:5", "sweeps:9[:5]", "sweeps:5,seed=1")
    ]
    assert named[0] == named[1] != named[2] != content_hash(find_images(["sweeps:5,beams=32"], formats=FORMATS))


@pytest.mark.parametrize(
    "text", ["sweeps:", "sweeps:0", "sweeps:10001", "sweeps:4,beams=16", "sweeps:4/000004", "sweeps:x"]
)
def test_what_names_no_sweeps_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"names no rendered sweeps: write sweeps:COUNT\[,seed=N\]\[,beams=64\|32\]"):
        find_images([text], formats=FORMATS)


def test_a_detector_of_images_is_told_that_sweeps_are_none() -> None:
    with pytest.raises(InputError, match="rendered sweeps are point clouds, and this detector reads"):
        find_images(["sweeps:4"])
    with pytest.raises(InputError, match="there is no scanner of 16 beams: choose 64 or 32"):
        sweep(0, 16)


def test_the_samples_are_what_their_seeds_render() -> None:
    folder = sample_data() / "sweeps"
    entries = json.loads((folder / "labels.json").read_text())["sweeps"]
    assert len(entries) == len(SAMPLES) and sum(file.stat().st_size for file in folder.iterdir()) < 4_000_000
    for entry, (seed, count) in list(zip(entries, SAMPLES, strict=True))[:2]:
        fresh, kept = sweep(seed, count), read_points(folder / entry["file"])
        assert kept == pytest.approx(fresh.points, abs=2e-3) and np.array(entry["boxes"]) == pytest.approx(
            fresh.boxes, abs=2e-3
        )
        assert entry["labels"] == fresh.labels.tolist()
