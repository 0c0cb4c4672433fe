"""Weights that ship: small, saying what they are, and as good as they say."""

from __future__ import annotations

import pytest
from safetensors import safe_open

from sfcore.datasets.scenes import Scene, render
from sfcore.detectors.registry import Entry, create, entries
from sfcore.training.material import material
from sfcore.training.scoring import score

SHIPPED = [each for each in entries() if each.weights]
OF_IMAGES, OF_POINTS = ([each for each in SHIPPED if each.input.kind == kind] for kind in ("image", "points"))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(850_000 + i) for i in range(60)]


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda each: each.name)
def test_weights_are_small_and_say_what_they_are(entry: Entry):
    assert entry.shipped is not None and entry.shipped.stat().st_size < 3_000_000
    with safe_open(entry.shipped, "pt") as file:
        metadata = file.metadata()
    assert metadata["detector"] == entry.name
    what = material(entry.sample).about(entry.input)
    assert what and what.items() <= metadata.items()
    assert {"seed", "commit", "score", "licence"} <= metadata.keys()


@pytest.mark.slow
@pytest.mark.parametrize("entry", OF_IMAGES, ids=lambda each: each.name)
def test_weights_find_the_lanes_of_unseen_scenes_as_they_say(entry: Entry, scenes: list[Scene]):
    """Their score is of 400 other scenes; sixty differ from these by up to about 0.04."""
    found = score(create(entry.name), scenes)
    assert found.f1 >= entry.score["f1"] - 0.05, found


@pytest.mark.slow
@pytest.mark.parametrize("entry", OF_POINTS, ids=lambda each: each.name)
def test_weights_find_the_boxes_of_unseen_sweeps_as_they_say(entry: Entry):
    """Their score is of 100 other sweeps."""
    detector = create(entry.name)
    found = material(detector).score(detector, range(850_000, 850_040)).rounded()
    assert found["f1"] >= entry.score["f1"] - 0.05 and found["bev_ap50_vehicle"] >= 0.75, found
