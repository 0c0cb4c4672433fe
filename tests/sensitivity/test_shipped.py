"""The curves that ship are those that would be measured, and stand in for no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.images import find_images
from sfcore.detectors.registry import entry
from sfcore.resources import sample_data
from sfcore.runs.shipped import shipped
from sfcore.sensitivity.curves import CurveSettings
from sfcore.sensitivity.shipped import FOLDER, SETTINGS, measured, shipped_curves

SHIPPED = sorted(path.name for path in FOLDER.iterdir())
NAME = shipped().spec.detector
FRAMES = find_images([sample_data() / "scenes"])


def weights() -> Path:
    file = entry(NAME).shipped
    assert file is not None
    return file


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_they_are_what_is_measured(name: str) -> None:
    file, found = entry(name).shipped, measured(name)
    kept = shipped_curves(name, file, FRAMES, SETTINGS)
    assert kept is not None and kept.curves.keys() == found.curves.keys()
    assert kept.meta | {"rms": None} == found.meta | {"rms": None}
    for head, curve in found.curves.items():
        assert kept.meta["rms"][head] == pytest.approx(found.meta["rms"][head], rel=1e-4)
        # Another processor rounds otherwise, and a point near a threshold may then fall on its other side.
        np.testing.assert_allclose(kept.curves[head].score, curve.score, rtol=0.02, atol=0.05)


def test_they_are_there_for_the_run_that_ships() -> None:
    found = shipped_curves(NAME, weights(), FRAMES, SETTINGS)
    assert found is not None and list(found.curves) == [head.name for head in entry(NAME).sample.heads]


@pytest.mark.parametrize("other", [{"seed": 1}, {"reruns": 9}, {"images": 11}, {"levels": 7}, {"kind": "uniform"}])
def test_other_settings_are_measured(other: dict[str, int]) -> None:
    changed: CurveSettings = replace(SETTINGS, **other)  # type: ignore[arg-type]
    assert shipped_curves(NAME, weights(), FRAMES, changed) is None


def test_other_frames_other_weights_and_other_detectors_are_measured(tmp_path: Path) -> None:
    other = tmp_path / "weights.safetensors"
    other.write_bytes(weights().read_bytes()[:-1] + b"\x01")
    assert shipped_curves(NAME, other, FRAMES, SETTINGS) is None
    assert shipped_curves(NAME, weights(), FRAMES[1:], SETTINGS) is None
    assert shipped_curves(NAME, weights(), FRAMES[::-1], SETTINGS) is None
    assert shipped_curves("ganet-small", None, FRAMES, SETTINGS) is None
