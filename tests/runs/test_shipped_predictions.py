"""The predictions that ship are those that the run that ships would make, and stand in for no others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.images import content_hash, find_images
from sfcore.detectors.registry import create
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.runs.results import FILES, ModelName, models_of
from sfcore.runs.shipped import shipped
from sfcore.runs.shipped_predictions import ShippedPredictions, predicted, shipped_predictions
from sfcore.tasks.lanes import Lanes

FRAMES = find_images([sample_data() / "scenes"])


@pytest.fixture(scope="module")
def like() -> Lanes:
    """What the detector finds in noise."""
    detector = create(shipped().spec.detector)
    found: Lanes = detector.decode(detector(detector.preprocessing.normalize(detector.preprocessing.example())))
    return found


@pytest.fixture
def copied(tmp_path: Path) -> RunFolder:
    """A copy of the run that ships."""
    return RunFolder.open(Path(shutil.copytree(shipped().path, tmp_path / "copied")))


def found_by(run: RunFolder, which: ModelName, like: Lanes) -> ShippedPredictions | None:
    return shipped_predictions(run, which, lambda: like)


@pytest.mark.parametrize("which", models_of(shipped()))
def test_they_are_what_the_models_find_in_the_samples(which: ModelName, like: Lanes) -> None:
    kept = found_by(shipped(), which, like)
    assert kept is not None and list(kept.images) == [content_hash([frame]) for frame in FRAMES]
    now = predicted(shipped(), which, FRAMES[::4])
    agreed = create(shipped().spec.detector).task.agreement(now, kept.found[slice(None, None, 4)])
    # Another processor rounds otherwise, and a value between two of four bits may then fall on its other side.
    assert agreed.f1 > 0.95 and agreed.distortion < 1.0


def test_each_frame_has_its_own(like: Lanes) -> None:
    kept = found_by(shipped(), "tuned", like)
    assert kept is not None
    for place in (0, len(FRAMES) - 1):
        one, same = kept.about(content_hash([FRAMES[place]])), kept.found[place]
        assert isinstance(one, Lanes) and isinstance(same, Lanes) and len(one) == 1
        np.testing.assert_array_equal(one.x, same.x)
    assert kept.about("an image that does not ship") is None


def test_a_copy_of_the_run_has_them_and_other_models_or_weights_do_not(copied: RunFolder, like: Lanes) -> None:
    assert found_by(copied, "tuned", like) is not None
    shutil.copy(copied.path / f"{FILES['calibrated']}.safetensors", copied.path / f"{FILES['tuned']}.safetensors")
    assert found_by(copied, "tuned", like) is None and found_by(copied, "calibrated", like) is not None
    record = json.loads((copied.path / "run.json").read_text())
    record["spec"]["scheme"] = "W8A8-tensor"
    (copied.path / "run.json").write_text(json.dumps(record))
    assert found_by(copied, "calibrated", like) is None
