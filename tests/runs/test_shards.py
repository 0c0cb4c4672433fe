"""Work in shards: the same results, whoever does them; a shard done is not done again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sfcore.cli import main
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import curve_shards, detection_shards
from sfcore.runs.shards import Crew, each_done, shards_of
from sfcore.sensitivity.curves import Curves

SCENES = str(sample_data() / "scenes")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_shards_are_cut_by_images_alone(tmp_path: Path) -> None:
    found = [(shard.start, shard.stop) for shard in shards_of(tmp_path, 10, 4, ".json")]
    assert found == [(0, 4), (4, 8), (8, 10)]


def test_workers_that_cannot_be_hired_are_refused() -> None:
    with pytest.raises(InputError, match="leave it and --address out"):
        assert Crew(address="somewhere", count=2).alone
    with pytest.raises(InputError, match="choose 1 or more"):
        assert Crew(count=0).alone
    assert Crew().alone and not Crew(count=2).alone


def test_shards_that_are_done_need_no_worker(tmp_path: Path) -> None:
    shards = shards_of(tmp_path, 10, 4, ".json")
    for shard in shards:
        shard.file.touch()
    assert list(each_done(Crew(count=2).hired("no.such.module", "test", tmp_path), {}, shards)) == shards
    assert not (tmp_path / "workers").exists()


def scored(out: Path, dataset: Path, detector: str, *options: str) -> dict[str, object]:
    command = ["evaluate", "detector", detector, "--dataset", str(dataset), "--out", str(out), "--device", "cpu"]
    assert main([*command, *options]) == 0
    return json.loads((out / "scores.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "detector"), [("culane", "lstr-tiny"), ("tusimple", "ganet-tiny")])
def test_scores_of_two_workers_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, detector: str
) -> None:
    monkeypatch.setattr(detection_shards, "SIZE", 8)
    assert main(["scenes", "--layout", layout, "--count", "12", "--seed", "7", "--out", str(tmp_path / "set")]) == 0
    alone = scored(tmp_path / "alone", tmp_path / "set", detector)
    assert scored(tmp_path / "shared", tmp_path / "set", detector, "--workers", "2") == alone
    assert not list((tmp_path / "shared" / "shards").rglob("*.json"))


@pytest.mark.slow
def test_curves_of_two_workers_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve_shards, "SIZE", 3)
    command = ["curves", "ganet-tiny", "--images", SCENES, "--limit", "7", "--levels", "3", "--reruns", "2"]
    command += ["--device", "cpu", "--out"]
    assert main([*command, str(tmp_path / "alone")]) == 0
    assert main([*command, str(tmp_path / "shared"), "--workers", "2"]) == 0
    alone, shared = (Curves.load(tmp_path / name).curves for name in ("alone", "shared"))
    assert alone.keys() == shared.keys()
    # Batches of other sizes round the last bits otherwise.
    for head, curve in alone.items():
        np.testing.assert_allclose(shared[head].score, curve.score, rtol=1e-6)
