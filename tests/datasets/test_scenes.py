"""Rendered scenes: same seed, same bytes; labels where the geometry says; what ships is what is described."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import cv2
import numpy as np
import pytest

from sfcore.datasets.scenes import PROBABILITIES, SCENARIOS, VERSION, render, sample_scenes
from sfcore.datasets.scenes.geometry import Camera, Course, View, lane_label
from sfcore.datasets.scenes.markings import dashes, stroke
from sfcore.datasets.scenes.plan import Marking, Road
from sfcore.datasets.scenes.render import labels, layout
from sfcore.errors import InputError
from sfcore.resources import sample_data

SIZE = (360, 640)
UNSEEN = 800000  # first seed of the test range


def level_view(pitch: float = 0.0, course: Course | None = None) -> View:
    return View(Camera(focal=500, cx=320, cy=180, height=1.5, pitch=pitch), course or Course(), SIZE)


def test_same_seed_same_bytes() -> None:
    first, again, other = render(7), render(7), render(8)
    assert np.array_equal(first.image, again.image)
    assert all(np.array_equal(a, b) for a, b in zip(first.lanes, again.lanes, strict=True))
    assert not np.array_equal(first.image, other.image)


def test_projection_by_hand() -> None:
    """1.8 m left and 15 m ahead of a level camera 1.5 m up: 500·(-1.8/15) = -60 and 500·(1.5/15) = 50 pixels."""
    np.testing.assert_allclose(level_view().project(-1.8, 0.0, 15.0), [260, 230])
    # Pitched by asin 0.6, at z = 10: depth 10·0.8 + 1.5·0.6 = 8.9, down 1.5·0.8 - 10·0.6 = -4.8.
    pixel = level_view(np.arcsin(0.6)).project(2.0, 0.0, 10.0)
    np.testing.assert_allclose(pixel, [320 + 500 * 2 / 8.9, 180 - 500 * 4.8 / 8.9])
    # A bend of 1/100 m is 20²/200 = 2 m aside at 20 m.
    np.testing.assert_allclose(level_view(course=Course(curvature=0.01)).project(0.0, 0.0, 20.0), [370, 217.5])


def test_labels_of_a_known_road() -> None:
    """On a level road row v sees z = f·h / (v - cy); the label must be at cx + f·(s + k·z²/2) / z."""
    view = level_view(course=Course(curvature=-0.004))
    road = Road(tuple(Marking(s, "solid") for s in (-1.8, 1.8, 5.4)), -3.0, 6.0)
    found = labels(view, road, "normal")
    assert len(found) == 3
    for s, line in zip((-1.8, 1.8, 5.4), found, strict=True):
        z = 500 * 1.5 / (line[:, 1] - 180)
        np.testing.assert_allclose(line[:, 0], 320 + 500 * (s - 0.002 * z**2) / z, atol=0.05)
    assert found[0][0, 1] == pytest.approx(359, abs=0.01)
    assert found[2][0, 0] == 639 and found[2][0, 1] < 359  # enters through the right border
    assert labels(view, road, "cross") == []


def test_a_crest_ends_the_label() -> None:
    flat, crest = level_view(), level_view(course=Course(grade=-0.06, grade_length=30))
    assert lane_label(crest, 0.0, 140.0)[-1, 1] > lane_label(flat, 0.0, 140.0)[-1, 1] + 5
    assert crest.horizon > 180


def test_strokes_cover_their_width() -> None:
    """Summed over a row, the coverage of a line is its width in pixels, however narrow it gets."""
    view = level_view()
    rows, _, cover = stroke(view, 0.3, 0.15)
    near = view.z < 60
    total = np.bincount(rows, cover, len(view.z))[near]
    np.testing.assert_allclose(total, 0.15 * view.scale[near], rtol=0.05, atol=0.02)


def test_dashes_paint_their_share() -> None:
    view = level_view()
    share = dashes(view, 3.0, 12.0, 4.0)
    assert share.min() >= 0 and share.max() <= 1 + 1e-9
    assert np.average(share, weights=view.footprint) == pytest.approx(0.25, abs=0.02)


def solid_points(seed: int) -> list[tuple[float, float, int]]:
    """x, y and a half width that holds the paint, along the fresh solid lines near the camera."""
    plan, points = layout(seed, SIZE, "normal"), []
    for marking in plan.road.markings:
        line = lane_label(plan.view, marking.s, 25.0)
        line = line[(line[:, 0] > 60) & (line[:, 0] < 580)][6:]
        if marking.kind == "solid" and marking.wear <= 0.3 and len(line) >= 10:
            slope = np.abs(np.gradient(line[:, 0], line[:, 1]))
            points += [(x, y, int(12 + 3 * k)) for (x, y), k in zip(line[::3], slope[::3], strict=True) if k < 12]
    return points


def test_paint_lies_under_its_label() -> None:
    """Solid lines are brighter than the road at both sides, and their light is centred on the label."""
    brighter, offsets = [], []
    for seed in range(UNSEEN, UNSEEN + 16):
        grey = render(seed, scenario="normal").image.mean(2)
        for x, y, half in solid_points(seed):
            first = round(x) - half
            row = grey[round(y), first : first + 2 * half + 1]
            light = np.maximum(row - np.median(row), 0)
            brighter.append(row[half] > max(row[0], row[-1]))
            if light.sum() > 300:
                offsets.append((light * np.arange(first, first + len(row))).sum() / light.sum() - x)
    assert len(brighter) > 200 and np.mean(brighter) > 0.85
    assert abs(np.median(offsets)) < 0.3


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_renders(scenario: str) -> None:
    scene = render(UNSEEN + 5, size=(180, 320), scenario=scenario)
    assert scene.scenario == scenario
    assert scene.image.shape == (180, 320, 3) and scene.image.dtype == np.uint8
    assert scene.image.std() > 8
    assert (len(scene.lanes) == 0) == (scenario == "cross")


def test_labels_lie_in_the_image_from_the_bottom_up() -> None:
    counts = Counter()
    for seed in range(UNSEEN, UNSEEN + 400):
        plan = layout(seed, SIZE)
        lines = labels(plan.view, plan.road, plan.scenario)
        counts[len(lines)] += 1
        for line in lines:
            assert len(line) >= 2 and np.isfinite(line).all()
            assert (np.diff(line[:, 1]) < 0).all()
            assert line.min() >= 0 and line[:, 0].max() <= 639 and line[:, 1].max() <= 359
    assert set(counts) <= {0, 1, 2, 3, 4, 5}
    assert counts[2] + counts[3] + counts[4] + counts[5] > 360


def test_scenarios_come_as_often_as_promised() -> None:
    assert sum(PROBABILITIES.values()) == pytest.approx(1)
    found = Counter(layout(seed, SIZE).scenario for seed in range(1500))
    for scenario, share in PROBABILITIES.items():
        assert found[scenario] / 1500 == pytest.approx(share, abs=0.04)


def test_same_road_at_another_size() -> None:
    """Twice the pixels show the same road: labels scale with the image (pixel centres are at whole numbers)."""
    small, large = layout(3, (180, 320)), layout(3, (360, 640))
    np.testing.assert_allclose(
        (small.view.project(1.0, 0.0, 20.0) + 0.5) * 2 - 0.5, large.view.project(1.0, 0.0, 20.0), atol=1e-6
    )


@pytest.mark.parametrize("arguments", [{"seed": 1, "scenario": "snow"}, {"seed": -1}, {"seed": 1, "size": (10, 640)}])
def test_what_cannot_be_rendered_is_said(arguments: dict) -> None:
    with pytest.raises(InputError) as error:
        render(**arguments)
    assert "\n" not in str(error.value)


def test_manifest_matches_the_files() -> None:
    folder = sample_data() / "scenes"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["renderer"] == VERSION
    assert {entry["scenario"] for entry in manifest["images"]} == set(SCENARIOS)
    assert all(entry["seed"] >= 900000 for entry in manifest["images"])
    listed = {entry["file"]: entry["sha256"] for entry in manifest["images"]}
    assert set(listed) | {"labels.json", "manifest.json"} == {path.name for path in folder.iterdir()}
    weights = {entry["file"]: entry["sha256"] for entry in manifest["weights"]}
    assert set(weights) == {f"weights/{path.name}" for path in (sample_data() / "weights").glob("*.safetensors")}
    for root, entries in ((folder, listed), (sample_data(), weights)):
        for name, digest in entries.items():
            assert hashlib.sha256((root / name).read_bytes()).hexdigest() == digest, name
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3e6


def test_samples_are_the_scenes_of_their_seeds() -> None:
    scenes = sample_scenes()
    assert len(scenes) == 24
    for scene in scenes:
        plan = layout(scene.seed, scene.image.shape[:2], scene.scenario)
        expected = labels(plan.view, plan.road, plan.scenario)
        assert len(expected) == len(scene.lanes)
        for line, stored in zip(expected, scene.lanes, strict=True):
            np.testing.assert_allclose(stored, line, atol=0.006)
    again = render(scenes[0].seed, scenario=scenes[0].scenario)
    difference = cv2.absdiff(again.image, scenes[0].image)  # JPEG's error, nothing else
    assert difference.mean() < 4
