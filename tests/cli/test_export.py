"""``sfcore export``: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.resources import sample_data
from tests.cli.conftest import Command
from tests.runs.finished import finished_run

SCENE = sample_data() / "scenes" / "00-curve.jpg"


def test_a_detector_is_calibrated_and_exported(sfcore_: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--format", "onnx", "--bits", "W8A8-portable", "--images", SCENE, "--out", out)
    found = sfcore_.json("export", "ganet-tiny", *words)
    (file,) = found["files"]
    assert set(file) == {"path", "format", "bytes"} and file["format"] == "onnx"
    assert file["path"] == str(out / "model.onnx") and file["bytes"] == (out / "model.onnx").stat().st_size
    assert found["scheme"]["bits"] == "W8A8-portable" and found["scheme"]["target"] == "portable"


def test_a_run_is_exported_as_it_was_tuned(sfcore_: Command, tmp_path: Path) -> None:
    run, out = finished_run(tmp_path / "run", "ganet-tiny"), tmp_path / "out"
    code, printed, error = sfcore_("export", run.path, "--format", "onnx-fp32", "--format", "encodings", "--out", out)
    assert code == 0, error
    assert all(name in printed for name in ("model-fp32.onnx", "model.encodings", "manifest.json"))
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["model"], manifest["method"]) == ("tuned", "selective-focus")
    assert manifest["metrics"] == {"f1": 0.5, "distortion": 3.0} and len(manifest["hashes"]["model"]) > 8
    assert manifest["scheme"]["target"] is None and str(tmp_path) not in (out / "manifest.json").read_text()


def test_a_run_that_is_not_done_is_refused(sfcore_: Command, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", "ganet-tiny")
    run.update(status="failed")
    said = sfcore_.error("export", run.path, "--format", "onnx", "--out", tmp_path / "out")
    assert "is failed, not done: let it finish" in said and not (tmp_path / "out").exists()
    run.update(status="done")
    said = sfcore_.error("export", run.path, "--format", "onnx", "--out", tmp_path / "out", "--bits", "W8A8")
    assert "is a run, which has its own bits" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [(("nothing", "--format", "onnx"), "neither a run nor a detector 'nothing'"),
     (("ganet-tiny", "--format", "onnx"), "name a run, or give --bits and --images"),
     (("ganet-tiny", "--format", "onnx", "--bits", "W8A8"), "both --bits and --images"),
     (("ganet-tiny", "--format", "onnx", "--images", SCENE), "both --bits and --images"),
     (("ganet-tiny", "--format", "tflite"), "tflite"),
     (("ganet-tiny", "--format", "onnx-fp32", "--batch", "0"), "give a number of images from 1, or dynamic"),
     (("ganet-tiny", "--format", "onnx-fp32", "--opset", "17"), "choose 18 to 23"),
     (("ganet-tiny", "--format", "onnx", "--bits", "W4A4-tensorrt", "--images", SCENE), "runs no weights of 4 bits")],
)  # fmt: skip
def test_what_cannot_be_exported_is_said(
    words: tuple[object, ...], said: str, sfcore_: Command, tmp_path: Path
) -> None:
    assert said in sfcore_.error("export", *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []
