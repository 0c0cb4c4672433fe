"""``scenes:…`` in place of a folder of images, in every command that takes one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.present.report.evidence import held_back, source_of
from sfcore.runs import RunFolder
from sfcore.tasks.base import TASKS
from tests.cli.conftest import Command

OPTIONS = ("--bits", "W8A8", "--method", "netwise", "--iterations", "1", "--batch", "1", "--set", "rendered=8")


def test_a_run_on_scenes_is_tuned_resumed_compared_and_reported(
    sfcore_: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("tune", "lstr-tiny", "--images", "scenes:9,seed=4", *OPTIONS, "--out", tmp_path / "run")
    found = sfcore_.json(*command)
    assert (found["status"], found["images"], found["spec"]["images"]) == ("done", 9, ["scenes:9,seed=4"])
    monkeypatch.chdir(tmp_path)
    assert sfcore_.json(*command)["image_hash"] == found["image_hash"]  # the same run from another folder
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    kept = ["scenes:9,seed=4/000008", "scenes:8,seed=0/000007"]  # of its images, and of those that the method renders
    files = [image["file"] for image in json.loads((tmp_path / "run" / "lanes.json").read_text())["images"]]
    assert files == kept
    reported = held_back(RunFolder.open(tmp_path / "run"), TASKS["lanes"])
    assert [str(frame.image) for frame in reported.frames] == kept

    compared = sfcore_.json("compare", tmp_path / "run", "--images", "scenes:2", "--images", "scenes:8[:1]")
    assert {name: part["images"] for name, part in compared["sources"].items()} == {"scenes:2": 2, "scenes:8[:1]": 1}
    assert source_of("scenes:8[6:]").metric == "culane" and len(source_of("scenes:8[6:]").frames) == 2


def test_a_detector_is_evaluated_on_scenes_and_finds_their_lanes(sfcore_: Command, tmp_path: Path) -> None:
    command = ("evaluate", "detector", "ganet-tiny", "--dataset", "scenes:4,seed=5", "--out", tmp_path / "out")
    found = sfcore_.json(*command)
    assert found["images"] == 4 and found["models"]["full"]["total"]["f1"] > 0.7
    assert sfcore_.json(*command)["models"] == found["models"]
    lanes = sfcore_.json("detect", "ganet-tiny", "scenes:4,seed=5[2:]")["images"]
    assert [image["file"] for image in lanes] == ["scenes:4,seed=5/000002", "scenes:4,seed=5/000003"]
    assert all((image["width"], image["height"]) == (640, 360) for image in lanes)


def test_what_names_no_scenes_is_one_line(sfcore_: Command) -> None:
    assert "scenes:few names no rendered scenes" in sfcore_.error("detect", "ganet-tiny", "scenes:few")
