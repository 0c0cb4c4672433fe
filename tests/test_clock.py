"""A machine's clock that is set back, or was ahead: no time is negative, and nothing is lost for it."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path

import pytest

from sfcore import clock
from sfcore.bench.rows import phase_seconds, tuning_seconds
from sfcore.present.run_history import history
from sfcore.runs import RunFolder, RunSpec, unused, worker
from sfcore.runs.estimate import Amount, predicted
from sfcore.runs.trash import delete, empty, restore, trash
from tests.runs.fake_worker import STEPS, assemble

HOUR = 3600.0
SPEC = RunSpec("lstr-tiny", ("frames",), "W8A8", "netwise")


@pytest.fixture
def going_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock is an hour earlier whenever it is asked."""
    asked, real = count(1), time.time
    monkeypatch.setattr(time, "time", lambda: real() - HOUR * next(asked))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", SPEC)


def test_time_passes_at_its_own_pace(going_back: None) -> None:
    before = clock.now()
    assert 0 <= clock.now() - before < 60


def test_a_run_takes_the_time_that_it_takes(folder: RunFolder, going_back: None) -> None:
    assert worker.work(folder, assemble=assemble) == "done"
    record, events = folder.record(), folder.events()[0]
    assert 0 <= record["worked"] < 60 and record["started"] <= events[0]["time"] + 0.001
    assert events[-1]["time"] - 0.001 <= record["ended"] < record["started"] + 60
    assert sorted(event["time"] for event in events) == [event["time"] for event in events]


def test_what_an_older_version_counted_below_zero_is_not_subtracted(folder: RunFolder) -> None:
    folder.update(worked=-HOUR)
    worker.work(folder, assemble=assemble)
    assert 0 <= folder.record()["worked"] < 60


def step(at: float, iteration: int) -> dict[str, object]:
    return {"type": "step", "time": at, "iteration": iteration, "iterations": STEPS, "loss": 1.0}


def progress(at: float, done: int) -> dict[str, object]:
    return {"type": "progress", "time": at, "phase": "calibrating", "done": done, "total": 3}


# An hour back between two batches, and again between two steps: 1 s each of the others.
SET_BACK = [
    {"type": "note", "time": 2 * HOUR, "text": ""},
    *(progress(2 * HOUR + 1, 1), progress(HOUR + 2, 2), progress(HOUR + 3, 3)),
    *(step(HOUR + 4, 1), step(HOUR + 5, 2), step(6.0, 3), step(7.0, 4)),
]


def test_times_go_forward_and_only_those_that_went_back_are_moved() -> None:
    assert [event["time"] - 2 * HOUR for event in clock.forward(SET_BACK)] == [0, 1, 1, 2, 3, 4, 4, 5]
    assert clock.forward(SET_BACK[:2]) == SET_BACK[:2] and clock.forward([]) == []


def test_the_time_left_is_told_though_the_clock_was_set_back() -> None:
    assert history(SET_BACK).seconds_left == pytest.approx((STEPS - 4) * 2 / 3)  # three steps in two seconds
    assert history([step(5.0, 1), step(4.0, 2)]).seconds_left is None


def test_estimates_and_tables_take_no_negative_times() -> None:
    amount = Amount(images=16, scenes=0, steps=4, check_every=8, of_net=True)
    assert predicted(SET_BACK, 3 * HOUR, amount, amount) == pytest.approx(0 + 2 + 4 * 2 / 3)
    assert phase_seconds(SET_BACK, "calibrating") == 2.0
    assert tuning_seconds(SET_BACK) == 3.0


def test_two_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "lstr-tiny-w4a4-best-1126-144600"
    assert unused(path) == path
    RunFolder.create(path, SPEC)
    RunFolder.create(unused(path), SPEC)
    assert unused(path).name == f"{path.name}-3"


def test_the_trash_keeps_for_a_day_what_is_a_year_old_by_a_clock_that_was_set(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, real = delete(folder), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 365 * 24 * HOUR)
    empty(folder.path.parent)
    assert trash(folder.path.parent) == [gone]
    boot, seconds = clock.since_boot()
    monkeypatch.setattr(clock, "since_boot", lambda: (boot, seconds + 25 * HOUR))
    empty(folder.path.parent)
    assert trash(folder.path.parent) == [] or not boot


def test_after_a_restart_the_machines_clock_counts(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = delete(folder)
    monkeypatch.setattr(clock, "since_boot", lambda: ("another start", 5.0))
    empty(folder.path.parent)
    assert trash(folder.path.parent) == [gone]
    long_ago = time.time() - 25 * HOUR
    os.utime(gone.place.parent, (long_ago, long_ago))
    empty(folder.path.parent)
    assert trash(folder.path.parent) == []


def test_what_was_deleted_while_the_clock_was_ahead_goes_after_a_day_all_the_same(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = delete(folder)
    ahead = time.time() + 1000 * 24 * HOUR
    os.utime(gone.place.parent, (ahead, ahead))
    empty(folder.path.parent)
    assert gone.place.is_dir() and gone.place.parent.stat().st_mtime <= time.time() + 1
    monkeypatch.setattr(clock, "since_boot", lambda: ("another start", 5.0))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 25 * HOUR)
    empty(folder.path.parent)
    assert trash(folder.path.parent) == []


def test_a_deleted_run_comes_back_whole_and_leaves_nothing_in_the_trash(folder: RunFolder) -> None:
    files = sorted(path.name for path in folder.path.iterdir())
    assert restore(delete(folder)).path == folder.path
    assert sorted(path.name for path in folder.path.iterdir() if path.name != "lock") == files
    assert list((folder.path.parent / ".trash").iterdir()) == []
