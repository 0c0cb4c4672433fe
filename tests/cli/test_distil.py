"""``sfcore distil``, and ``distilled:…`` in place of a folder of images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.datasets.images import read_image
from sfcore.runs import RunFolder
from tests.cli.conftest import Command

SOURCE = "distilled:2,steps=3"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_images_are_written_with_how_they_were_made(sfcore_: Command, tmp_path: Path) -> None:
    out, words = tmp_path / "out", ("--count", "2", "--steps", "3", "--seed", "4", "--epsilon", "0.3")
    found = sfcore_.json("distil", "scnn-tiny", *words, "--out", out)
    assert sorted(file.name for file in out.iterdir()) == ["000000.png", "000001.png", "distilled.json"]
    assert json.loads((out / "distilled.json").read_text()).items() <= found.items()
    assert (found["count"], found["steps"], found["seed"], found["epsilon"]) == (2, 3, 4, 0.3)
    assert found["batches"][0]["end"] < found["batches"][0]["start"] and found["diversity"]["spread"] > 0
    frame = f"distilled:2,epsilon=0.3,steps=3,seed=4,of={found['of']}/000001"
    assert np.array_equal(read_image(Path(frame)), read_image(out / "000001.png"))
    code, text, _ = sfcore_("distil", "scnn-tiny", *words, "--out", out)
    assert code == 0 and "--images distilled:2,epsilon=0.3,steps=3,seed=4 takes the same" in text


@pytest.mark.slow
def test_a_run_calibrates_on_distilled_images_and_says_that_it_judges_on_them(sfcore_: Command, tmp_path: Path) -> None:
    how = ("--bits", "W8A8", "--method", "calibrate", "--no-bias-correction", "--out", tmp_path / "r")
    code, _, err = sfcore_("tune", "scnn-tiny", "--images", SOURCE, *how)
    assert code == 0 and "judge on real frames" in err
    run = RunFolder.open(tmp_path / "r")
    phases = {event["phase"]: event for event in run.events()[0] if event["type"] == "progress"}
    assert phases["distilling images"]["done"] == 3
    held = json.loads((run.path / "lanes.json").read_text())["images"]
    assert run.record()["spec"]["images"] == [SOURCE] and held[0]["file"].startswith(f"{SOURCE},of=")
    assert "none is at hand here" in sfcore_.error("compare", run.path, "--images", SOURCE)


def test_other_commands_take_them_too(sfcore_: Command, tmp_path: Path) -> None:
    layers = sfcore_.json("detect", "scnn-tiny", f"{SOURCE}[1:]")["images"]
    assert len(layers) == 1 and layers[0]["file"].endswith("/000001")
    curves = sfcore_.json(
        "curves", "scnn-tiny", "--images", SOURCE, "--levels", "2", "--reruns", "1", "--out", tmp_path / "curves"
    )
    assert set(curves["heads"]) and (tmp_path / "curves" / "curves.csv").is_file()


def test_wrong_options_are_one_line(sfcore_: Command, tmp_path: Path) -> None:
    words = ("distil", "scnn-tiny", "--out", tmp_path / "out")
    assert "count is '0', but must be 1 to 1,000" in sfcore_.error(*words, "--count", "0")
    assert "epsilon is '2.0', but must be 0 to 1" in sfcore_.error(*words, "--count", "4", "--epsilon", "2")
    assert "ZeroQ has no margin" in sfcore_.error(*words, "--count", "4", "--epsilon", "0.3", "--zeroq")
    assert not (tmp_path / "out").exists()
