"""Searches in the background: who works on one, how it is stopped and goes on, and what its trials are given."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.testing

from sfcore.cli.commands.base import group
from sfcore.cli.commands.search import SearchValues
from sfcore.cli.console import Answer
from sfcore.cli.search import searched
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec
from sfcore.search import presence, process
from sfcore.search.command import command
from sfcore.search.folder import HOPELESS, Search, begin, trials
from sfcore.search.page import write_page
from sfcore.search.process import Launched, launched, launching
from sfcore.search.work import work_on
from tests.search.test_command import LAMBDAS, SPEC, pretended, search

PATIENCE = 240.0  # seconds on a busy machine


def wait_for(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} has not come to be within {PATIENCE:g} s"
        time.sleep(0.1)


def test_a_search_is_alive_as_long_as_one_of_its_processes_is(tmp_path: Path) -> None:
    path = tmp_path / "s"
    begin(path, search())
    assert not presence.is_alive(path)
    with presence.at_work(path), presence.at_work(path):
        assert presence.is_alive(path)
        with pytest.raises(InputError, match="going on already"):
            process.launch(path)
    assert not presence.is_alive(path)
    with pytest.raises(InputError, match="nothing to stop"):
        presence.stop(path)


def test_a_request_to_stop_is_kept_before_the_next_trial(tmp_path: Path) -> None:
    path, called = tmp_path / "s", list[float]()
    begin(path, search())

    def work(folder: RunFolder, watch: Any) -> Any:
        if folder.spec.options["lam"] == 2:
            presence.stop(path)
        return pretended(lambda lam: lam, called)(folder, watch)

    with presence.at_work(path), pytest.raises(KeyboardInterrupt):
        work_on(path, worker=work)
    assert len(called) == 2 and presence.stop_requested(path)
    presence.clear_stop(path)
    work_on(path, worker=pretended(lambda lam: lam, called))
    assert called == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_trials_are_launched_one_after_the_other_and_belong_to_whoever_searches(tmp_path: Path) -> None:
    path = tmp_path / "s"
    quick = RunSpec(**{**SPEC.to_dict(), "options": {"iterations": 2, "batch": 1}})
    begin(path, Search(quick.to_dict(), ("lam=1,2",), "grid", 2))
    process.launch(path, Launched(owner={"id": "me", "name": "Me"}))
    assert presence.is_alive(path)
    wait_for(lambda: not presence.is_alive(path), "the end of the search")
    found = trials(path)
    assert [trial.state for trial in found] == ["done"] * 2, process.log(path)
    records = [RunFolder(trial.run).record() for trial in found]
    assert [record["owner"]["id"] for record in records] == ["me"] * 2
    assert [record["turn"] for record in records] == [1, 2] and launched(path).owner["name"] == "Me"


@pytest.mark.slow
def test_trials_that_a_cluster_carries_out_are_those_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    quick = RunSpec(**{**SPEC.to_dict(), "options": {"iterations": 2, "batch": 1}, "device": "cpu"})
    for name in ("here", "there"):
        begin(tmp_path / name, Search(quick.to_dict(), ("lam=1,2",), "grid", 2))
    work_on(tmp_path / "here")
    process.launch(tmp_path / "there", Launched("slurm", "local", at_once=2))
    wait_for(lambda: not presence.is_alive(tmp_path / "there"), "the end of the search")
    models, runs = list[list[bytes]](), [trial.run for trial in trials(tmp_path / "there")]
    for name in ("here", "there"):
        models.append(sorted((trial.run / "model.safetensors").read_bytes() for trial in trials(tmp_path / name)))
    assert models[0] == models[1] and len(set(models[0])) == 2
    assert {RunFolder(run).record()["launcher"] for run in runs} == {"slurm"}


@pytest.mark.slow
def test_a_search_in_the_background_stops_its_trial_and_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    long = RunSpec(**{**SPEC.to_dict(), "options": {"iterations": 100_000, "batch": 1}})
    begin(path, Search(long.to_dict(), ("lam=1,2",), "grid", 2))
    process.launch(path)
    wait_for(lambda: any(trial.state == "running" for trial in trials(path)), "the first trial")
    presence.stop(path)
    wait_for(lambda: not presence.is_alive(path), "the end of the search")
    assert [trial.state for trial in trials(path)] == ["stopped"]
    process.launch(path)
    wait_for(lambda: trials(path)[0].state == "running", "the first trial again")
    presence.stop(path)
    wait_for(lambda: not presence.is_alive(path), "the end of the search")
    assert len(trials(path)) == 1


def test_a_launched_trial_that_is_hopeless_is_stopped_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at a launched run finds what it wrote since; the run ends when it is asked to stop."""
    path, launches = tmp_path / "s", list[str]()
    begin(path, search())
    monkeypatch.setattr(process, "GLANCE", 0.0)
    monkeypatch.setattr(process, "launch_run", lambda run, *_: launches.append(run.name))

    def is_alive(run: RunFolder) -> bool:
        lam = run.spec.options["lam"]
        if run.name not in launches:
            return False
        steps = len(run.events()[0]) + 1
        found = lam if lam < 5 else 50.0
        step = {"type": "step", "iteration": steps, "iterations": 3, "held_back": found, "best": found}
        run.append(step)
        if steps == 3:
            run.update(status="done", result={"tuned": {"distortion": found}})
        elif run.stop_requested:
            run.update(status="stopped")
        return steps < 3 and not run.stop_requested

    monkeypatch.setattr(RunFolder, "is_alive", is_alive)
    work_on(path, worker=launching(path, Launched()))
    assert [trial.state for trial in trials(path)] == ["done"] * 4 + [HOPELESS] * 2
    assert len(launches) == 6


def test_what_cannot_be_launched_ends_the_search_and_fails_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    begin(path, search())

    def refuse(*_: object) -> None:
        raise InputError("the cluster is gone")

    monkeypatch.setattr(process, "launch_run", refuse)
    with pytest.raises(InputError, match="cluster is gone"):
        work_on(path, worker=launching(path, Launched()))
    assert [trial.state for trial in trials(path)] == ["queued"]


@pytest.mark.parametrize(
    "changed",
    [{}, {"bias_correction": False, "weight_calibrator": "minmax", "limit": 2, "seed": 3, "device": "cpu"},
     {"transforms": ("fold-batch-norm", "shift-scale"), "scheme": "W4A4,heads=16", "images": ("/a b/x", "scenes:4")}],
)  # fmt: skip
def test_the_command_of_a_search_asks_for_the_same(tmp_path: Path, changed: dict[str, Any]) -> None:
    asked = list[SearchValues]()

    spec = RunSpec(**{**SPEC.to_dict(), **changed}).absolute()
    wanted = Search(spec.to_dict(), LAMBDAS, "tpe", 6, spec.seed, early=False)
    words = shlex.split(command(tmp_path / "s", wanted))
    assert words[:2] == ["sfcore", "search"]

    def keep(self: SearchValues) -> Any:
        asked.append(self)
        return Answer({}, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchValues, "answer", keep)
        answer = typer.testing.CliRunner().invoke(
            group(None, {"search": SearchValues, "other": SearchValues}), words[1:]
        )
    assert answer.exit_code == 0, answer.output
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sfcore.search.space.RunSpec.validate", lambda self: None)
        assert searched(asked[0]) == wanted and asked[0].out == str(tmp_path / "s")


def test_the_page_of_a_search_opens_alone_and_has_its_trials_and_command(tmp_path: Path) -> None:
    path = tmp_path / "s"
    begin(path, search())
    work_on(path, worker=pretended(lambda lam: lam, list[float]()))
    text = write_page(path).read_text()
    assert "s-005" in text and "sfcore search lstr-tiny" in text and "http-equiv" in text
    assert "<script src" not in text
