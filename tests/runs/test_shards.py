"""Work in shards: the same results, whoever does them; a shard done is not done again."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sfcore.cli import main
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import curve_shards, detection_shards, layer_shards, pool
from sfcore.runs.job import TRIES
from sfcore.runs.shards import Crew, each_done, shards_of
from sfcore.sensitivity.curves import Curves
from tests.cli.conftest import Command

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


def test_workers_that_end_before_they_begin_are_hired_a_few_times_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pool, "ROLL_CALL", 0.5)
    hired = Crew(count=2).hired("no.such.module", "test", tmp_path)
    with pytest.raises(InputError, match=r"before they begin .*No module named 'no'.*worker\.log"):
        list(each_done(hired, {}, shards_of(tmp_path, 10, 4, ".json")))
    assert capsys.readouterr().out.count("hiring as many") == TRIES - 1
    assert hired.put({}).exception() is not None
    assert list((tmp_path / "workers").rglob("worker.log"))


def scored(out: Path, dataset: Path, detector: str, *options: str) -> dict[str, object]:
    return evaluated(out, dataset, "detector", detector, *options)


def evaluated(out: Path, dataset: Path, *words: str) -> dict[str, object]:
    assert main(["evaluate", *words, "--dataset", str(dataset), "--out", str(out), "--device", "cpu"]) == 0
    return json.loads((out / "scores.json").read_text())


def kill_one(out: Path, killed: list[str]) -> None:
    """Kill the first worker that has taken something, and note what it said of itself."""
    until = time.monotonic() + 120
    while not killed and time.monotonic() < until:
        for taken in out.glob("workers/*/taken/*"):
            said = (taken.parents[1] / "workers" / taken.name.partition("@")[2]).read_text()
            os.kill(int(said.split()[1]), signal.SIGKILL)
            killed.append(said)
            return
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "detector"), [("culane", "lstr-tiny"), ("tusimple", "ganet-tiny")])
def test_scores_of_two_workers_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, detector: str
) -> None:
    monkeypatch.setattr(detection_shards, "SIZE", 8)
    assert main(["scenes", "--layout", layout, "--count", "12", "--seed", "7", "--out", str(tmp_path / "set")]) == 0
    alone = scored(tmp_path / "alone", tmp_path / "set", detector)
    assert scored(tmp_path / "shared", tmp_path / "set", detector, "--workers", "2") == alone
    assert not {"shards", "workers"} & {path.name for path in (tmp_path / "shared").iterdir()}


@pytest.mark.slow
def test_a_run_is_scored_the_same_though_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detection_shards, "SIZE", 8)
    assert main(["scenes", "--layout", "culane", "--count", "24", "--seed", "7", "--out", str(tmp_path / "set")]) == 0
    run = ("run", str(sample_data() / "tour"))
    alone = evaluated(tmp_path / "alone", tmp_path / "set", *run)
    killed: list[str] = []
    killer = threading.Thread(target=kill_one, args=(tmp_path / "shared", killed))
    killer.start()
    shared = evaluated(tmp_path / "shared", tmp_path / "set", *run, "--workers", "2")
    killer.join()
    assert shared == alone
    assert f"a worker died ({killed[0]})" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("where", [(), ("--launcher", "slurm", "--address", "local")], ids=["here", "slurm"])
def test_curves_of_two_workers_are_those_of_one_process(
    where: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where:
        pytest.importorskip("submitit")
    monkeypatch.setattr(curve_shards, "SIZE", 3)
    command = ["curves", "ganet-tiny", "--images", SCENES, "--limit", "7", "--levels", "3", "--reruns", "2"]
    command += ["--device", "cpu", "--out"]
    assert main([*command, str(tmp_path / "alone")]) == 0
    assert main([*command, str(tmp_path / "shared"), "--workers", "2", *where]) == 0
    alone, shared = (Curves.load(tmp_path / name).curves for name in ("alone", "shared"))
    assert alone.keys() == shared.keys()
    # Batches of other sizes round the last bits otherwise.
    for head, curve in alone.items():
        np.testing.assert_allclose(shared[head].score, curve.score, rtol=1e-6)


@pytest.fixture
def sfcore_(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def test_layers_that_workers_measure_need_a_folder(sfcore_: Command) -> None:
    said = sfcore_.error("layers", "lstr-tiny", "--images", SCENES, "--bits", "W4A4", "--workers", 2)
    assert "name one with --out" in said


@pytest.mark.slow
def test_layers_of_two_workers_are_those_of_one_process(
    tmp_path: Path, sfcore_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_shards, "SIZE", 30)
    command = ["layers", "lstr-tiny", "--images", SCENES, "--limit", 3, "--bits", "W4A4,heads=16", "--device", "cpu"]
    alone = sfcore_.json(*command)
    assert sfcore_.json(*command, "--workers", 2, "--out", tmp_path / "out") == alone
    assert not (tmp_path / "out" / "shards").exists()


def kill_a_worker(spools: Path) -> None:
    """Kill the first worker that has an errand."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for taken in spools.glob("*/taken/*@*"):
            worker = taken.parents[1] / "workers" / taken.name.partition("@")[2]
            os.kill(int(worker.read_text().split()[1]), signal.SIGKILL)
            return
        time.sleep(0.01)
    raise AssertionError("no worker took an errand")


@pytest.mark.slow
def test_bits_that_two_workers_measure_are_those_of_one_process_though_one_is_killed(
    tmp_path: Path, sfcore_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["allocate", "lstr-tiny", "--images", SCENES, "--limit", 4, "--budget", "5bit", "--candidates", 4, 8]
    command += ["--rounds", 1, "--front", 3, "--device", "cpu", "--out", tmp_path / "bits.json"]
    answers, schemes, kept = [], [], []
    for name, more in (("alone", []), ("shared", ["--workers", 2])):
        monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / name))
        with ThreadPoolExecutor() as pool:
            killer = pool.submit(kill_a_worker, tmp_path / "bits.shared" / "workers") if more else None
            answers.append(sfcore_.json(*command, *more))
            assert killer is None or killer.result() is None
        schemes.append((tmp_path / "bits.json").read_text())
        kept += [sorted(file.read_text().splitlines()) for file in (tmp_path / name).rglob("*.jsonl")]
    assert answers[0] == answers[1] and answers[0]["front"]
    assert schemes[0] == schemes[1]
    assert len(kept) == 2 and kept[0] == kept[1]  # what each place does, to the last bit, and once
    assert not (tmp_path / "bits.shared").exists()
