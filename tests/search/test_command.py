"""``sfcore search`` on a real tiny detector: all kinds of axes, resuming, early stops, several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import sfcore.cli
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, list_runs
from sfcore.runs.folder import Status
from sfcore.search.folder import HOPELESS, Search, begin, searches, trials
from sfcore.search.space import Space
from sfcore.search.work import carry_out, work_on

SCENES = str(sample_data() / "scenes")
SPEC = RunSpec("lstr-tiny", (f"{SCENES}[:2]",), "W4A4", "focus-only", options={"iterations": 10, "batch": 1}).absolute()
LAMBDAS = ("lam=1,2,3,4,5,6",)


def search(over: tuple[str, ...] = LAMBDAS, count: int = 6, sampler: str = "grid") -> Search:
    return Search(SPEC.to_dict(), over, sampler, count)


def pretended(values: Callable[[float], float], called: list[float]) -> Callable[..., Status]:
    """A worker that takes ten steps at once, with a distortion by λ."""

    def work(folder: RunFolder, watch: Callable[[Mapping[str, Any]], None]) -> Status:
        lam = folder.spec.options["lam"]
        called.append(lam)
        for iteration in range(1, 11):
            found = values(lam) + 1 / iteration
            event = {
                "type": "step", "iteration": iteration, "iterations": 10, "held_back": found, "best": found,
            }  # fmt: skip
            folder.append(event)
            watch(event)
            if folder.stop_requested:
                folder.update(status="stopped")
                return "stopped"
        result = {name: {"f1": 1.0, "distortion": found} for name in ("calibrated", "tuned")}
        folder.update(status="done", result=result)
        return "done"

    return work


@pytest.mark.slow
def test_a_search_answers_with_its_best_run_and_is_not_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", "lstr-tiny", "--images", f"{SCENES}[:2]", "--method", "selective-focus", "--sampler", "random"]
    words += ["--over", "k=1,2", "lam=0.1:10:log", "learning_rate=1e-5:1e-3:log", "bits=W4A4,W8A4", "--trials", "2"]
    words += ["--set", "iterations=2", "batch=1", "--out", str(tmp_path / "first"), "--json"]
    assert sfcore.cli.main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    one, two = answer["trials"]
    assert answer["best"] == min(answer["trials"], key=lambda trial: trial["value"])
    assert [trial["state"] for trial in (one, two)] == ["done"] * 2 and one["params"] != two["params"]
    assert list(one["params"]) == ["k", "lam", "learning_rate", "bits"] and 0.1 <= one["params"]["lam"] <= 10
    spec = RunFolder.open(Path(one["run"])).spec
    assert (spec.scheme, spec.options["k"]) == (one["params"]["bits"], one["params"]["k"])
    assert len(list_runs(tmp_path)) == 2 and searches(tmp_path) == [tmp_path / "first"]
    written = Path(one["run"], "events.jsonl").read_bytes()
    assert sfcore.cli.main(words) == 0 and json.loads(capsys.readouterr().out) == answer
    assert Path(one["run"], "events.jsonl").read_bytes() == written


def test_hopeless_trials_stop_early_and_say_why(tmp_path: Path) -> None:
    path, called = tmp_path / "s", list[float]()
    begin(path, search())
    work_on(path, worker=pretended(lambda lam: 1.0 if lam < 5 else 50.0, called))
    found = trials(path)
    assert [trial.state for trial in found] == ["done"] * 4 + [HOPELESS] * 2
    assert "iteration 1 of 10" in found[-1].why and RunFolder.open(found[-1].run).events()[0][-1]["type"] == "note"
    assert len([event for event in RunFolder.open(found[-1].run).events()[0] if event["type"] == "step"]) == 1

    path = tmp_path / "all"
    begin(path, Search(SPEC.to_dict(), LAMBDAS, "grid", 6, early=False))
    work_on(path, worker=pretended(lambda lam: 1.0 if lam < 5 else 50.0, called))
    assert [trial.state for trial in trials(path)] == ["done"] * 6


def test_a_search_goes_on_with_the_trial_that_its_process_left(tmp_path: Path) -> None:
    path, called = tmp_path / "s", list[float]()
    begin(path, search())
    plain = pretended(lambda lam: lam, called)

    def dying(folder: RunFolder, watch: Any) -> Status:
        if folder.spec.options["lam"] == 3:
            raise SystemExit  # as abrupt as a kill: nothing is told to the study
        return plain(folder, watch)

    with pytest.raises(SystemExit):
        work_on(path, worker=dying)
    assert [trial.state for trial in trials(path)] == ["done", "done", "queued"]
    work_on(path, worker=plain)
    assert called == [1, 2, 3, 4, 5, 6] and len(trials(path)) == 6


def test_a_failed_trial_stops_no_other(tmp_path: Path) -> None:
    path, called = tmp_path / "s", list[float]()
    begin(path, search())

    def work(folder: RunFolder, watch: Any) -> Status:
        if folder.spec.options["lam"] == 2:
            folder.update(status="failed", error="no luck")
            raise InputError("no luck")
        return pretended(lambda lam: lam, called)(folder, watch)

    work_on(path, worker=work)
    assert [trial.why for trial in trials(path) if trial.state == "failed"] == ["no luck"] and len(called) == 5


@pytest.mark.slow
def test_two_processes_do_no_trial_twice(tmp_path: Path) -> None:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import load_study

    quick = RunSpec(**{**SPEC.to_dict(), "options": {"iterations": 1, "batch": 1}})
    carry_out(tmp_path / "s", Search(quick.to_dict(), ("lam=1,2,3,4",), "grid", 4), jobs=2)
    found = trials(tmp_path / "s")
    assert sorted(trial.params["lam"] for trial in found) == [1, 2, 3, 4]  # type: ignore[type-var]
    assert all(sum(e["type"] == "done" for e in RunFolder.open(t.run).events()[0]) <= 1 for t in found)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "s" / "journal.log")))
    kept = load_study(study_name="search", storage=storage).trials
    assert {trial.state.name for trial in kept} == {"COMPLETE"} and len(kept) == 4


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("lambda=1,2", "no option 'lambda' to vary: choose one of bits, "),
        ("lam=1:0.1", "no range"),
        ("lam=0:3:log", "begins above 0"),
        ("lam=-1,2", "greater than 0"),
        ("lam", "varies nothing"),
        ("k=1,2", "k cannot be varied: focus-only"),
        ("bits=W99A4", "99 weight bits are not possible"),
    ],
)
def test_what_cannot_be_varied_is_refused(over: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        Space.parse(SPEC, (over,))
    assert said in str(refused.value)


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "s", search())
    with pytest.raises(InputError, match="another search"):
        begin(tmp_path / "s", search(("lam=1,2",)))
    assert begin(tmp_path / "s", search(count=9)).trials == 9
    with pytest.raises(InputError, match="no grid"):
        carry_out(tmp_path / "t", search(("lam=1:2",)))
    assert not (tmp_path / "t").exists()
