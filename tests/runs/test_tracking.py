"""Runs in MLflow: a real store in a database and in a folder, and a server over HTTP; each is read back."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sfcore.cli
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.tags import Tags, write_tags
from sfcore.runs.tracking import AT_ONCE, FOLDERS, SETTINGS, STATE, Tracking
from tests.runs.mlflow_server import mlflow_server

STEPS = 2 * AT_ONCE  # more than one request takes


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an export sets in the environment ends with its test, and nothing falls into the working folder."""
    pytest.importorskip("mlflow")
    for name in (*SETTINGS, FOLDERS):
        monkeypatch.setenv(name, os.environ.get(name, SETTINGS.get(name, "true")))
    monkeypatch.delenv(FOLDERS)
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    spec = RunSpec("lstr-tiny", ("frames",), "W4A4", "selective-focus", options={"k": 2, "lam": 0.5})
    folder = RunFolder.create(tmp_path / "runs" / "first", spec)
    for iteration in range(1, STEPS + 1):
        step: dict[str, Any] = {"type": "step", "iteration": iteration, "iterations": STEPS, "loss": 1 / iteration}
        folder.append(step | ({"held_back": 3.0, "best": 3.0, "noise": {"logits": 0.25}} if iteration == 4 else {}))
    result = {"calibrated": {"f1": 0.5, "distortion": 9.0}, "tuned": {"f1": None, "distortion": 3.0}}
    folder.update(status="done", result=result, ended=folder.record()["created"] + 60, worked=60.0)
    write_tags(folder, Tags(("night",), "seen in fog"))
    return folder


def exported(capsys: pytest.CaptureFixture[str], uri: str, *runs: object) -> list[dict[str, str]]:
    words = ["runs", "mlflow", *map(str, runs), "--to", uri, "--json"]
    assert sfcore.cli.main(words) == 0
    answer: list[dict[str, str]] = json.loads(capsys.readouterr().out)["runs"]
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["database", "folder"])
def test_a_run_is_read_back_from_a_store_as_it_was(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    uri = f"sqlite:///{tmp_path}/store/x.db" if kind == "database" else str(tmp_path / "store")
    (tmp_path / "store").mkdir()
    ((row,)) = exported(capsys, uri, run.path)
    assert row["export"] == "written"
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.get_run(row["mlflow_run"])
    assert (found.info.run_name, found.info.status) == ("first", "FINISHED")
    assert found.info.end_time - found.info.start_time == pytest.approx(60_000, abs=2)
    assert {"detector": "lstr-tiny", "scheme": "W4A4", "k": "2", "lam": "0.5"}.items() <= found.data.params.items()
    assert found.data.tags["sfcore.tags"] == "night" and found.data.tags["mlflow.note.content"] == "seen in fog"
    losses = {each.step: each.value for each in client.get_metric_history(found.info.run_id, "loss")}
    assert losses == {step: 1 / step for step in range(1, STEPS + 1)}
    (noise,) = client.get_metric_history(found.info.run_id, "noise/logits")
    assert (noise.step, noise.value) == (4, 0.25) and found.data.metrics["tuned/distortion"] == 3.0
    assert "tuned/f1" not in found.data.metrics  # there is none
    place = Path(client.download_artifacts(found.info.run_id, "run.json"))
    assert place.read_bytes() == (run.path / "run.json").read_bytes()
    assert str(tmp_path / "store") in found.info.artifact_uri and not (tmp_path / "mlruns").exists()
    assert exported(capsys, uri, run.path)[0] == {**row, "export": "unchanged"}


@pytest.mark.slow
def test_a_run_is_there_once_however_often_it_is_exported(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with mlflow_server() as (uri, server):
        assert [exported(capsys, uri, run.path)[0]["export"] for _ in range(2)] == ["written", "unchanged"]
        assert len(server.active()) == 1
        write_tags(run, Tags(("day",), ""))
        assert exported(capsys, uri, run.path, run.path)[0]["export"] == "replaced"
        (there,) = server.active()
        assert server.tags(there)["sfcore.tags"] == "day" and there["info"]["status"] == "FINISHED"
        assert len([each for each in there["data"]["metrics"] if each["key"] == "loss"]) == STEPS
        assert any(path.endswith("events.jsonl") for path in server.artifacts)
        moved = RunFolder(run.path.rename(run.path.with_name("moved")))
        assert exported(capsys, uri, moved.path)[0]["export"] == "unchanged"


@pytest.mark.slow
@pytest.mark.parametrize("refused", ["runs/log-batch", "artifacts", "runs/set-tag"])
def test_nothing_is_left_of_an_export_that_fails(run: RunFolder, refused: str) -> None:
    with mlflow_server() as (uri, server):
        server.refused.add(refused)
        with pytest.raises(InputError, match="does not take the run"):
            Tracking(uri).export(run)
        assert server.runs and not server.active()
        server.refused.clear()
        assert Tracking(uri).export(run)[1] == "written"


@pytest.mark.slow
def test_an_export_that_was_cut_off_is_replaced(run: RunFolder) -> None:
    with mlflow_server() as (uri, server):
        Tracking(uri).export(run)
        (there,) = server.active()
        there["data"]["tags"] = [each for each in there["data"]["tags"] if each["key"] != STATE]  # killed before it
        assert Tracking(uri).export(run)[1] == "replaced" and len(server.active()) == 1


@pytest.mark.slow
def test_an_address_where_nobody_answers_is_one_line_without_the_password(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://me:secret@127.0.0.1:{port}"
    assert sfcore.cli.main(["runs", "mlflow", str(run.path), "--to", uri]) == 1
    said = capsys.readouterr()
    assert not said.out and f"MLflow at http://127.0.0.1:{port} does not take" in said.err
    assert "secret" not in said.err and "Traceback" not in said.err
