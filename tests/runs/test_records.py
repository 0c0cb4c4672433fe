"""Typed records: what a file or a form holds of a wrong type is said by its field."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec

SPEC: dict[str, Any] = {"detector": "lstr-tiny", "images": ["frames"], "scheme": "W4A4", "method": "netwise"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("limit", "12", "limit = '12': it must be a valid integer"), ("seed", 1.5, "seed = 1.5"),
        ("images", "frames", "images = 'frames'"), ("images", [1], r"images\.0 = 1"), ("options", [], "options = "),
        ("bias_correction", 1, "bias_correction = 1"), ("weights", 3, "weights = 3"), ("scheme", None, "scheme = None"),
        ("transforms", "fold-batch-norm", "transforms = "),
    ],
)  # fmt: skip
def test_a_wrong_type_in_a_specification_is_named(field: str, value: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"the run specification: {said}"):
        RunSpec(**{**SPEC, field: value})
    with pytest.raises(InputError, match=said):
        RunSpec.from_dict({**SPEC, field: value})


def test_lists_of_files_are_tuples_and_equal() -> None:
    assert RunSpec.from_dict(json.loads(json.dumps(RunSpec(**SPEC).to_dict()))) == RunSpec(**SPEC)
    assert RunSpec(**SPEC).images == ("frames",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "asleep"}, "status = 'asleep'"), ({"created": "today"}, "created = 'today'"),
        ({"result": {"tuned": {"f1": "good"}}}, r"result\.tuned\.f1"), ({"turn": 1.5}, "turn = 1.5"),
        ({"spec": None}, "spec = None"),
    ],
)  # fmt: skip
def test_a_wrong_type_in_a_record_is_named_with_its_file(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", RunSpec(**SPEC))
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=rf"run\.json is damaged: {said}"):
        RunFolder.open(run.path)


def test_fields_of_later_versions_stay_in_a_record(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", RunSpec(**SPEC))
    run.update(weather="rain")
    run.update(images=3)
    assert run.record()["weather"] == "rain"  # type: ignore[typeddict-item]


def test_events_are_checked_when_written_and_when_read(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", RunSpec(**SPEC))
    run.append({"type": "step", "iteration": 1, "iterations": 2, "loss": 0.5})
    with pytest.raises(InputError, match="iteration = '2'"):
        run.append({"type": "step", "iteration": "2", "iterations": 2})
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"type": "applause"}\nnonsense\n')
    assert [event["type"] for event in run.events()[0]] == ["step"]
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"type": "progress", "phase": "calibrating", "done": "1", "total": 2}\n')
    with pytest.raises(InputError, match=r"events\.jsonl is damaged: progress\.done = '1'"):
        run.events()


def test_thousands_of_events_are_read_in_no_time(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", RunSpec(**SPEC))
    line = json.dumps({"type": "step", "iteration": 1, "iterations": 2, "loss": 0.5, "noise": {"a": 0.1, "b": 0.2}})
    (run.path / "events.jsonl").write_text(f"{line}\n" * 5000)
    begun = time.perf_counter()
    assert len(run.events()[0]) == 5000
    assert time.perf_counter() - begun < 5  # a tenth of a second, unless the machine is very busy
