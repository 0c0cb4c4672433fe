"""Exporting into a folder: the manifest, the program beside it, and nothing half-written."""

from __future__ import annotations

import errno
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sfcore.errors import InputError
from sfcore.export.base import EXPORTERS, parse_batch
from sfcore.export.files import export
from tests.export.conftest import SCENES, Exported, calibrated, small_subject

INT8 = "W8A8-portable"


def test_the_manifest_says_what_each_file_is(exported: Exported) -> None:
    folder = exported("ganet-tiny", INT8, "onnx", "onnx-fp32", "openvino", "encodings")
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {each["path"]: each for each in manifest["files"]}
    names = ["model.onnx", "model-fp32.onnx", "model.xml", "model.bin", "model-encodings.onnx", "model.encodings"]
    assert list(files) == names and {each.name for each in folder.iterdir()} == {*names, "manifest.json", "run_onnx.py"}
    for name, each in files.items():
        content = (folder / name).read_bytes()
        assert each["bytes"] == len(content) and each["sha256"] == hashlib.sha256(content).hexdigest() and each["what"]
    assert files["model.bin"]["bytes"] < 0.4 * files["model-fp32.onnx"]["bytes"]  # weights stay integers
    assert manifest["run"] == "python run_onnx.py model.onnx IMAGE" and manifest["format"] == 1
    assert manifest["scheme"]["bits"] == INT8 and manifest["checks"] == {"portable": []}
    assert manifest["detector"] == "ganet-tiny" and [head["name"] for head in manifest["heads"]]


def test_the_program_runs_the_file(exported: Exported, tmp_path: Path) -> None:
    folder = exported("ganet-tiny", INT8, "onnx", "onnx-fp32", "openvino", "encodings")
    words = [sys.executable, "run_onnx.py", "model.onnx", SCENES[0]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    printed = [line.split()[0] for line in done.stdout.splitlines()]
    assert printed == [head.name for head in calibrated("ganet-tiny", INT8).detector.heads]


def test_without_onnx_there_is_no_program_and_no_check(tmp_path: Path) -> None:
    export(small_subject("W8A8-tensorrt"), ["openvino"], tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["run"] is None and manifest["checks"] == {} and not (tmp_path / "run_onnx.py").exists()


def test_progress_counts_formats(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export(small_subject(INT8), ["onnx", "encodings"], tmp_path, lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("formats", "said"), [
    ([], "no format is given: choose some of"), (["onnx", "tflite"], "tflite.*onnx-fp32"),
])  # fmt: skip
def test_formats_that_there_are_not_are_refused(formats: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        export(small_subject(INT8), formats, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_a_full_disk_leaves_nothing_half_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "before.txt").write_text("kept")
    whole = Path.open

    def full(path: Path, mode: str = "r", *more: Any, **others: Any) -> Any:
        if "w" in mode and tmp_path in path.parents and ("manifest" in path.name or "onnx" in path.name):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, mode, *more, **others)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(InputError, match="No space left on device"):
        export(small_subject(INT8), [name], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["before.txt"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        export(small_subject(INT8), ["onnx"], tmp_path / "file" / "out")


@pytest.mark.parametrize(("name", "package", "module"), [
    ("onnx", "onnx", "sfcore.export.graph"), ("onnx-fp32", "onnxscript", "sfcore.export.graph"),
    ("openvino", "openvino", ""), ("encodings", "onnx", "sfcore.export.encodings"),
])  # fmt: skip
def test_a_missing_package_is_named(
    name: str, package: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    said = rf"needs the package {package}, which .*: pip install 'selective-focus-studio\[deploy\]'"
    with pytest.raises(InputError, match=said):
        export(small_subject(INT8), [name], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "batch"), [("1", 1), ("12", 12), ("dynamic", "dynamic")])
def test_batches_are_read(text: str, batch: int | str) -> None:
    assert parse_batch(text) == batch


@pytest.mark.parametrize("text", ["0", "-1", "", "any", "1.5", "²"])
def test_other_batches_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="give a number of images from 1, or dynamic"):
        parse_batch(text)


def test_violations_of_the_target_are_in_the_manifest(tmp_path: Path) -> None:
    subject = small_subject("W8A8-tensorrt")
    export(replace(subject, integer_bias=True), ["onnx"], tmp_path)
    (found,) = json.loads((tmp_path / "manifest.json").read_text())["checks"].values()
    assert found and all(each.startswith("model.onnx: ") and "its bias is int32" in each for each in found)
