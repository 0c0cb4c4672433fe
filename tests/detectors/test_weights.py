"""Weights that ship: small, saying what they are, and as good as they say."""

from __future__ import annotations

import pytest
from safetensors import safe_open

from sfcore.datasets.scenes import Scene, render
from sfcore.detectors.registry import Entry, create, entries
from sfcore.training.scoring import score

SHIPPED = [each for each in entries() if each.weights]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(850_000 + i) for i in range(60)]


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda each: each.name)
def test_weights_are_small_and_say_what_they_are(entry: Entry):
    assert entry.shipped is not None and entry.shipped.stat().st_size < 3_000_000
    with safe_open(entry.shipped, "pt") as file:
        metadata = file.metadata()
    assert metadata["detector"] == entry.name
    assert {"input_size", "mean", "std", "order", "seed", "commit", "score", "licence"} <= metadata.keys()


@pytest.mark.slow
@pytest.mark.parametrize("entry", SHIPPED, ids=lambda each: each.name)
def test_weights_find_the_lanes_of_unseen_scenes_as_they_say(entry: Entry, scenes: list[Scene]):
    """Their score is of 400 other scenes; sixty differ from these by up to about 0.04."""
    found = score(create(entry.name), scenes)
    assert found.f1 >= entry.score["f1"] - 0.05, found
