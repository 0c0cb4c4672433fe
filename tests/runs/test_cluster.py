"""Runs on a cluster, of which this stands for one: jobs are processes of this machine, and may be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, is_alive, launch, stop
from sfcore.runs import cluster as clusters
from sfcore.runs.cluster import Cluster
from sfcore.runs.job import Job
from sfcore.runs.launcher import LAUNCHERS
from sfcore.runs.worker import work
from tests.runs import fake_worker
from tests.runs.fake_worker import STEPS, assemble


class Queue(Cluster):
    """A cluster that begins nothing: its jobs wait."""

    name = "queue"
    jobs: ClassVar[dict[str, Job]] = {}
    away: ClassVar[bool] = False

    def submit(self, jobs: Sequence[Job], folder: str) -> list[str]:
        names = [str(len(self.jobs) + place) for place, _ in enumerate(jobs, 1)]
        self.jobs.update(zip(names, jobs, strict=True))
        return names

    def living(self) -> frozenset[str]:
        if self.away:
            raise InputError("the cluster is away")
        return frozenset(self.jobs)

    def cancel(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            self.jobs.pop(job, None)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Queue]]:
    LAUNCHERS.names()
    LAUNCHERS.register("queue")(Queue)
    clusters._answers.clear()
    yield Queue
    LAUNCHERS._things.pop("queue", None)
    Queue.jobs.clear()
    clusters._answers.clear()


@pytest.fixture
def run(tmp_path: Path, spec: RunSpec) -> RunFolder:
    return RunFolder.create(tmp_path / "run", spec)


def test_a_run_that_waits_on_a_cluster_is_alive_and_a_second_launcher_is_told(
    run: RunFolder, queue: type[Queue]
) -> None:
    job = launch(run, "queue", "some:1", 3)
    record = run.record()
    assert [record[name] for name in ("launcher", "address", "cores", "job")] == ["queue", "some:1", 3, job]
    assert is_alive(run) and run.status == "queued"
    for launcher in ("queue", "local"):
        with pytest.raises(InputError, match="worked on already"):
            launch(run, launcher)
    with pytest.raises(InputError, match="waits on a cluster already"):
        Queue("some:1").launch(run)  # one that came at the same moment
    assert len(queue.jobs) == 1 and queue.jobs[str(job)].cores == 3


def test_of_two_launchers_that_come_at_once_one_is_refused(run: RunFolder, queue: type[Queue]) -> None:
    class Slow(Queue):
        def living(self) -> frozenset[str]:
            found = super().living()
            with pytest.raises(InputError, match="worked on already"):  # another comes while this one asks
                Queue("some:1").launch(run)
            return found

    assert Slow("some:1").launch(run) == run.record()["job"]
    assert len(queue.jobs) == 1


def test_a_run_that_waits_leaves_the_clusters_queue_when_it_is_stopped(run: RunFolder, queue: type[Queue]) -> None:
    launch(run, "queue")
    stop(run)
    assert not queue.jobs and run.status == "stopped"
    assert launch(run) and run.status == "queued"  # on the same cluster again


def test_a_cluster_that_is_away_has_no_runs_and_takes_none(
    run: RunFolder, queue: type[Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(run, "queue")
    monkeypatch.setattr(Queue, "away", True)
    assert run.status == "stopped"
    with run.lock():
        assert is_alive(run)  # its worker is seen all the same
    with pytest.raises(InputError, match="away"):
        launch(run)


def test_a_dead_worker_is_named_in_the_record_by_the_next(run: RunFolder) -> None:
    run.update(status="running", pid=7, node="first")
    assert work(run, assemble=assemble, patience=0.0) == "done"
    (found,) = run.record()["interruptions"]
    assert found["node"] == "first" and found["why"] == "the worker of process 7 ended without a word"
    notes = [event["text"] for event in run.events()[0] if event["type"] == "note"]
    assert len(notes) == 1 and "on first; on " in notes[0]


def test_a_dead_worker_is_named_though_the_run_waited_in_a_queue_since(run: RunFolder, queue: type[Queue]) -> None:
    run.update(status="running", pid=7, node="first")
    for _ in range(2):  # the first job is lost before it begins
        launch(run, "queue")
        queue.jobs.clear()
    assert work(run, assemble=assemble, patience=0.0) == "done"
    (found,) = run.record()["interruptions"]
    assert found["node"] == "first" and found["why"] == "the worker of process 7 ended without a word"


def test_a_run_that_was_stopped_was_not_broken_off(run: RunFolder, queue: type[Queue]) -> None:
    run.update(status="stopped", pid=7, node="first")
    launch(run, "queue")
    assert run.record()["node"] is None
    assert work(run, assemble=assemble, patience=0.0) == "done" and "interruptions" not in run.record()


def test_a_worker_elsewhere_keeps_to_a_request_to_stop_that_was_there_before_it(run: RunFolder) -> None:
    run.request_stop()
    assert work(run, assemble=assemble, patience=0.0) == "stopped"


def test_a_full_disk_is_waited_for_and_nothing_is_done_twice(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    append, failures = RunFolder.append, iter([False] * 20 + [True, True])

    def full(folder: RunFolder, event: dict[str, object]) -> None:
        if next(failures, False):
            raise InputError("cannot write") from OSError(28, "No space left on device")
        append(folder, event)

    monkeypatch.setattr(RunFolder, "append", full)
    monkeypatch.setattr("sfcore.runs.patience.FIRST", 0.01)
    assert work(run, assemble=assemble, patience=60.0) == "done"
    (found,) = run.record()["interruptions"]
    assert found["why"].startswith("storage failed (No space left on device)")
    steps = [event["iteration"] for event in run.events()[0] if event["type"] == "step"]
    assert steps == list(range(1, STEPS + 1))


def test_storage_may_fail_at_any_moment(tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, failing = 0, range(0)

    def failing_at_times(write: Callable[..., None]) -> Callable[..., None]:
        def written(*given: Any) -> None:
            nonlocal calls
            calls += 1
            if calls in failing:
                raise InputError("cannot write") from OSError(116, "Stale file handle")
            write(*given)

        return written

    def carried_out(name: str, fail: range = range(0)) -> tuple[RunFolder, list[dict[str, Any]]]:
        nonlocal calls, failing
        failing = range(0)
        run = RunFolder.create(tmp_path / name, spec)
        calls, failing = 0, fail
        assert work(run, assemble=assemble, patience=60.0) == "done"
        return run, run.events()[0]

    monkeypatch.setattr("sfcore.runs.patience.FIRST", 0.001)
    monkeypatch.setattr("sfcore.runs.worker.CHECKPOINT_SECONDS", 0.002)
    for name in ("append", "save_tensors", "_write_record"):
        monkeypatch.setattr(RunFolder, name, failing_at_times(getattr(RunFolder, name)))
    usual, _ = carried_out("usual")
    model, longest = usual.load_tensors("model")[0], calls
    for first in range(1, longest + 1, 3):
        run, found = carried_out(str(first), range(first, first + 3))
        assert [each["iteration"] for each in found if each["type"] == "step"] == list(range(1, STEPS + 1))
        assert sum(each["type"] == "done" for each in found) == 1
        assert run.record()["status"] == "done" and run.load_tensors("model")[0]["place"].equal(model["place"])


def test_storage_that_does_not_come_back_fails_the_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError("cannot write") from OSError(28, "No space left on device")

    monkeypatch.setattr(fake_worker.WalkSession, "finish", full)
    with pytest.raises(InputError, match="cannot write"):
        work(run, assemble=assemble, patience=0.05)
    assert run.status == "failed"


def test_a_job_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import os, time\nfrom sfcore.runs.job import tie\ntie()\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
    )
    code = f"from sfcore.runs.job import Job\nJob('one', ('sleeper',), {str(tmp_path / 'log')!r}).carry_out('here')"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "log").exists() or not (tmp_path / "log").read_text().strip():
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    child = Path("/proc") / (tmp_path / "log").read_text().strip()
    while child.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
