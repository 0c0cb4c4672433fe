"""Real runs, small: an untrained LSTR, a few images, a few steps."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sfcore.detectors import registry
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, preview, worker
from sfcore.runs.results import load_model
from sfcore.runs.session import split
from sfcore.tasks.base import TASKS

LANES = TASKS["lanes"]
SCRIPT = Path(__file__).with_name("real_worker.py")
STEPS = 12


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    """Nine images of noise, the last of which is held back."""
    folder = tmp_path_factory.mktemp("frames")
    torch.manual_seed(0)
    detector = registry.entry("lstr-r18s").build()
    with torch.no_grad():  # every query is a lane from 40 % to 95 % of the height, somewhere in the middle
        detector.class_embed.bias[1] += 5.0
        detector.specific_embed.layers[-1].bias.copy_(torch.tensor([0.4, 0.95, 0.0, 0.0]))
    save_file(detector.state_dict(), folder / "untrained.safetensors")
    for index in range(9):
        noise = np.random.default_rng(index).integers(0, 256, (36, 64, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(noise, (640, 360)))
    options = {"iterations": STEPS, "batch": 1, "check_every": 4, "learning_rate": 1e-3, "augmentation": 1.0}
    weights = str(folder / "untrained.safetensors")
    return RunSpec("lstr-r18s", (str(folder),), "W4A8", "netwise", weights, options, device="cpu")


@pytest.fixture(scope="module")
def undisturbed(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder.create(tmp_path_factory.mktemp("run") / "undisturbed", spec)
    assert worker.work(folder) == "done"
    return folder


def test_a_run_leaves_its_results(undisturbed: RunFolder) -> None:
    record = undisturbed.record()
    assert (record["status"], record["images"]) == ("done", 9)
    assert len(record["image_hash"]) == len(record["weights_hash"]) == 64
    assert set(record["result"]) == {"calibrated", "tuned"}
    assert 0 < record["result"]["tuned"]["distortion"] <= record["result"]["calibrated"]["distortion"]
    (image,) = json.loads((undisturbed.path / "lanes.json").read_text())["images"]
    assert Path(image["file"]).name == "8.png" and image["full"]


def test_a_run_tells_its_steps(undisturbed: RunFolder) -> None:
    events, _ = undisturbed.events()
    phases = {event["phase"] for event in events if event["type"] == "progress"}
    assert phases == {"reading images", "calibrating"}
    steps = [event for event in events if event["type"] == "step"]
    assert [event["iteration"] for event in steps] == list(range(1, STEPS + 1))
    assert [event["iteration"] for event in steps if "held_back" in event] == [4, 8, 12]
    assert set(steps[0]["noise"]) == {"logits", "extent", "shared", "own"}


def test_a_run_shows_one_frame_as_it_goes_on(undisturbed: RunFolder) -> None:
    found = preview.read(undisturbed, LANES)
    assert found and found.iterations == (0, 4, 8, 12)
    assert found.image.shape == (360, 640, 3)
    content = json.loads((undisturbed.path / "lanes.json").read_text())
    (image,) = content["images"]
    assert LANES.record(found.full) == image["full"] and LANES.record(found.predictions[0]) == image["calibrated"]
    assert found.full.size == (content["height"], content["width"])


def test_a_run_from_before_there_were_previews_has_none(undisturbed: RunFolder, tmp_path: Path) -> None:
    shutil.copy(undisturbed.path / "run.json", tmp_path)
    assert preview.read(RunFolder.open(tmp_path), LANES) is None


def test_a_damaged_preview_is_named(undisturbed: RunFolder, tmp_path: Path) -> None:
    for name in ("run.json", "preview.jpg"):
        shutil.copy(undisturbed.path / name, tmp_path)
    (tmp_path / "preview.jsonl").write_text('{"full": []}\n{"iteration": 0}\n')
    with pytest.raises(InputError, match=r"preview .* is damaged .*delete preview\.jsonl"):
        preview.read(RunFolder.open(tmp_path), LANES)


def test_a_killed_run_resumes_to_the_same_model_and_events(
    undisturbed: RunFolder, spec: RunSpec, tmp_path: Path
) -> None:
    folder = RunFolder.create(tmp_path / "run", spec)
    with subprocess.Popen([sys.executable, str(SCRIPT), str(folder.path)]) as process:
        deadline = time.monotonic() + 240
        while not any(event.get("iteration") == 5 for event in folder.events()[0]):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert folder.status == "stopped"
    assert worker.work(folder) == "done"
    assert untimed(folder) == untimed(undisturbed)
    assert folder.preview.read() == undisturbed.preview.read()
    ours, theirs = folder.load_tensors("model")[0], undisturbed.load_tensors("model")[0]
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def untimed(folder: RunFolder) -> list[dict[str, object]]:
    """The events of the steps, without when they happened."""
    return [{**event, "time": 0} for event in folder.events()[0] if event["type"] == "step"]


def test_a_run_without_transforms_keeps_its_batch_norms(spec: RunSpec, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", replace(spec, method="calibrate", options={}, transforms=()))
    assert worker.work(folder) == "done"
    model = load_model(folder, "calibrated")
    assert model.transformed_by == () and any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_a_run_with_transforms_keeps_what_they_did(spec: RunSpec, tmp_path: Path) -> None:
    transforms = ("fold-batch-norm", "gamma-migration", "token-clip")
    spec = replace(spec, method="calibrate", options={}, transforms=transforms, limit=2)
    folder = RunFolder.create(tmp_path / "run", spec)
    assert worker.work(folder) == "done"
    notes = folder.record()["transform_notes"]
    assert any(note.startswith("gamma-migration: class_embed reads transformer.decoder.norm") for note in notes)
    assert notes[-1].startswith("token-clip: error of the outputs")
    saved, _ = folder.load_tensors("calibrated")
    model = load_model(folder, "calibrated")
    assert model.transformed_by == transforms and model.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in saved.items())


def test_changed_images_are_refused(spec: RunSpec, undisturbed: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", spec)
    folder.update(image_hash="of other images")
    with pytest.raises(InputError, match=r"images of the run .* have changed"):
        worker.work(folder)


def test_changed_weights_are_refused(spec: RunSpec, undisturbed: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", spec)
    folder.update(weights_hash="of other weights")
    with pytest.raises(InputError, match=r"untrained\.safetensors has changed since the run"):
        worker.work(folder)


def test_a_run_ends_well_though_its_weights_are_trained_on_meanwhile(
    spec: RunSpec, undisturbed: RunFolder, tmp_path: Path
) -> None:
    weights = Path(shutil.copy(str(spec.weights), tmp_path / "best.safetensors"))
    folder = RunFolder.create(tmp_path / "run", replace(spec, weights=str(weights)))

    def train_on(event: Mapping[str, object]) -> None:
        if event.get("iteration") == 1:
            weights.write_bytes(b"half of what is")

    assert worker.work(folder, watch=train_on) == "done"
    assert folder.record()["result"] == undisturbed.record()["result"]


def test_the_end_of_every_source_is_held_back() -> None:
    rest, held = split([0] * 16 + [1] * 8 + [2] * 3, seed=1)
    assert held == [14, 15, 23]
    assert sorted(rest + held) == list(range(27)) and rest != sorted(rest)
    assert split([0] * 16, seed=1) == split([0] * 16, seed=1) != split([0] * 16, seed=2)


def test_few_images_are_split_as_well_as_can_be() -> None:
    assert split([0], 0) == ([0], [0])
    assert split([0, 0], 0) == ([0], [1])
    assert len(split([0] * 4000, 0)[1]) == 48
