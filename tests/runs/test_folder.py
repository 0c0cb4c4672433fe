"""The run folder: what is written is read again, and nothing is ever half there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sfcore.errors import InputError
from sfcore.files import write_atomic, write_json
from sfcore.runs import RunFolder, RunSpec, create_or_resume, is_alive, list_runs, stop


def step(iteration: int) -> dict[str, Any]:
    """An event of tuning."""
    return {"type": "step", "iteration": iteration, "iterations": 9}


def test_a_specification_survives_its_folder(tmp_path: Path, spec: RunSpec) -> None:
    RunFolder.create(tmp_path / "run", spec)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.spec == spec
    assert folder.status == "queued"
    assert set(folder.record()["versions"]) == {"python", "torch", "sfcore"}


def test_unknown_and_missing_fields_of_a_specification_are_named(spec: RunSpec) -> None:
    with pytest.raises(InputError, match="colour"):
        RunSpec.from_dict({**spec.to_dict(), "colour": "red"})
    content = spec.to_dict()
    del content["scheme"]
    with pytest.raises(InputError, match="scheme"):
        RunSpec.from_dict(content)


def test_a_specification_from_before_calibrators_could_be_chosen_has_those_of_that_time(spec: RunSpec) -> None:
    later = ("weight_calibrator", "activation_calibrator", "bias_correction")
    older = {name: value for name, value in spec.to_dict().items() if name not in later}
    read = RunSpec.from_dict(older)
    assert (read.weight_calibrator, read.activation_calibrator) == ("omse", "moving-average-omse")
    assert read == spec


def test_a_specification_from_before_weights_could_be_chosen_takes_the_only_ones(spec: RunSpec) -> None:
    older = {name: value for name, value in spec.to_dict().items() if name != "weights_key"}
    assert RunSpec.from_dict(older) == spec and spec.weights_key is None


def test_a_specification_from_before_transforms_could_be_chosen_folds_batch_norms(spec: RunSpec) -> None:
    older = {name: value for name, value in spec.to_dict().items() if name != "transforms"}
    assert RunSpec.from_dict(older) == spec and spec.transforms == ("fold-batch-norm",)
    other = replace(spec, transforms=())
    assert RunSpec.from_dict(json.loads(json.dumps(other.to_dict()))) == other


def test_an_unknown_transform_is_refused_before_anything_is_read() -> None:
    spec = RunSpec("ganet-tiny", ("nowhere",), "W4A4", "netwise", transforms=("fold-batch-norm", "mix"))
    with pytest.raises(InputError, match=r"there is no transform 'mix': choose one of .*fold-batch-norm"):
        spec.validate()


def test_an_unknown_calibrator_is_refused_before_anything_is_read() -> None:
    spec = RunSpec("ganet-tiny", ("nowhere",), "W4A4", "netwise", activation_calibrator="mean")
    with pytest.raises(InputError, match=r"there is no calibrator 'mean': choose one of aciq, .*percentile"):
        spec.validate()


def test_a_folder_of_another_version_is_refused_saying_which(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path / "run", spec)
    folder.update(format=99)
    with pytest.raises(InputError, match=r"format 99.*formats 1 and 2"):
        RunFolder.open(tmp_path / "run")


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_run_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json"):
        RunFolder.open(tmp_path)


def test_a_folder_is_not_made_twice(tmp_path: Path, spec: RunSpec) -> None:
    RunFolder.create(tmp_path, spec)
    with pytest.raises(InputError, match="holds a run already"):
        RunFolder.create(tmp_path, spec)
    with pytest.raises(InputError, match="is no run folder"):
        RunFolder.open(tmp_path / "elsewhere")


def test_events_are_read_from_where_reading_ended(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    assert folder.events() == ([], 0)
    folder.append(step(1))
    first, offset = folder.events()
    folder.append(step(2))
    later, end = folder.events(offset)
    assert [event["iteration"] for event in first + later] == [1, 2]
    assert folder.events(end) == ([], end)


def test_a_torn_last_line_is_left_until_it_is_whole(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    folder.append(step(1))
    whole = folder.sizes()["events"]
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "st')
    events, offset = folder.events()
    assert (len(events), offset) == (1, whole)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'ep", "iteration": 1, "iterations": 9}\n')
    assert folder.events(offset)[0] == [step(1)]


def test_reading_starts_over_when_the_file_became_shorter(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    for iteration in range(3):
        folder.append(step(iteration))
    _, offset = folder.events()
    folder.truncate({"events": offset // 3})
    assert [event["iteration"] for event in folder.events(offset)[0]] == [0]


def test_tensors_and_their_note_survive(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    shared = torch.randn(4, 3)
    folder.save_tensors("model", {"a": shared, "b": shared.t(), "n": torch.tensor(3)}, {"iteration": 5})
    tensors, note = folder.load_tensors("model")
    assert torch.equal(tensors["a"], shared) and torch.equal(tensors["b"], shared.t()) and int(tensors["n"]) == 3
    assert note == {"iteration": 5}


def test_missing_and_damaged_tensors_are_refused(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    with pytest.raises(InputError, match="not come that far"):
        folder.load_tensors("model")
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(InputError, match="damaged"):
        folder.load_tensors("model")


def test_a_full_disk_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path, spec)
    folder.save_tensors("model", {"a": torch.ones(1)})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for attempt in (
        lambda: folder.save_tensors("model", {"a": torch.zeros(1)}),
        lambda: folder.update(status="done"),
        lambda: write_atomic(tmp_path / "new", b"content"),
    ):
        with pytest.raises(InputError, match="No space left on device"):
            attempt()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_when_an_event_cannot_be_written(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"events\.jsonl.*No space left"):
        folder.append(step(1))


def test_numbers_that_json_lacks_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_run_has_one_worker_at_a_time(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    assert not is_alive(folder)
    with folder.lock():
        assert is_alive(folder)
        with pytest.raises(InputError, match="worked on already"), RunFolder.open(tmp_path).lock():
            pass
    assert not is_alive(folder)


def test_a_run_whose_worker_died_counts_as_stopped(tmp_path: Path, spec: RunSpec) -> None:
    folder = RunFolder.create(tmp_path, spec)
    code = (
        "import os, sys, pathlib; from sfcore.runs import RunFolder\n"
        "folder = RunFolder.open(pathlib.Path(sys.argv[1]))\n"
        "with folder.lock(): folder.update(status='running'); print(folder.status, flush=True); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (died.returncode, died.stdout) == (-9, "running\n")
    assert folder.record()["status"] == "running"
    assert folder.status == "stopped"
    with pytest.raises(InputError, match="nothing to stop"):
        stop(folder)


def test_runs_are_listed_newest_first_without_what_is_none(tmp_path: Path, spec: RunSpec) -> None:
    for index, name in enumerate(("old", "new")):
        RunFolder.create(tmp_path / name, spec).update(created=index)
    RunFolder.create(tmp_path / "foreign", spec).update(format=99)
    (tmp_path / "notes").mkdir()
    assert [folder.name for folder in list_runs(tmp_path)] == ["new", "old"]
    assert list_runs(tmp_path / "nowhere") == []


def test_another_specification_in_the_same_folder_is_refused(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunSpec, "validate", lambda self: None)
    create_or_resume(tmp_path, spec)
    again = create_or_resume(tmp_path, RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))))
    assert again.spec == spec.absolute() and all(os.path.isabs(source) for source in again.spec.images)
    other: dict[str, Any] = {**spec.to_dict(), "scheme": "W8A8"}
    with pytest.raises(InputError, match="scheme 'W4A4' there, 'W8A8' now"):
        create_or_resume(tmp_path, RunSpec.from_dict(other))
