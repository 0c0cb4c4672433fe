"""Launchers: whoever starts, stops or follows a run goes through the one that its record names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, is_alive, launch, list_runs, log, stop
from sfcore.runs.launcher import LAUNCHERS, LONGEST, Launcher, launcher_of
from sfcore.runs.launchers.local import Local


class Cluster(Launcher):
    """Jobs that wait elsewhere, where no process holds their lock yet: those numbered here."""

    jobs: ClassVar[set[int]] = set()

    def launch(self, run: RunFolder) -> int:
        with run.lock():
            run.enqueue("cluster", job=len(self.jobs) + 1)
        self.jobs.add(run.record()["job"])
        return len(self.jobs)

    def is_alive(self, run: RunFolder) -> bool:
        return super().is_alive(run) or run.record()["job"] in self.jobs

    def stop(self, run: RunFolder) -> None:
        self.jobs.discard(run.record()["job"])


@pytest.fixture
def cluster() -> Iterator[None]:
    LAUNCHERS.names()  # what ships goes first
    LAUNCHERS.register("cluster")(Cluster)
    yield
    LAUNCHERS._things.pop("cluster", None)
    Cluster.jobs.clear()


@pytest.fixture
def run(tmp_path: Path, spec: RunSpec) -> RunFolder:
    return RunFolder.create(tmp_path / "run", spec)


def test_runs_are_local_unless_their_record_says_otherwise(run: RunFolder, tmp_path: Path) -> None:
    assert isinstance(launcher_of(run), Local) and isinstance(launcher_of(RunFolder(tmp_path / "none")), Local)
    assert not is_alive(run) and run.status == "queued"  # created, and launched by nobody yet


def test_a_run_from_before_there_were_launchers_is_local_and_was_launched_if_it_has_a_turn(run: RunFolder) -> None:
    run.update(turn=3)
    assert isinstance(launcher_of(run), Local) and run.status == "stopped"  # its process has died in the queue


def test_a_run_lives_as_long_as_its_launcher_says(run: RunFolder, cluster: None) -> None:
    run.update(error="of an earlier start")
    run.request_stop()
    assert launch(run, "cluster") == 1
    assert (run.launcher, run.status, is_alive(run)) == ("cluster", "queued", True)
    assert run.record()["error"] is None and not run.stop_requested
    stop(run)
    assert (run.status, is_alive(run)) == ("stopped", False)
    assert launch(run) == 1 and is_alive(run)  # by the same launcher again


def test_a_run_is_alive_while_its_worker_is_though_its_launcher_lost_sight_of_it(run: RunFolder, cluster: None) -> None:
    launch(run, "cluster")
    Cluster.jobs.clear()
    with run.lock():
        assert is_alive(run)
    assert not is_alive(run)


def test_a_run_of_a_launcher_that_is_not_here_is_named_and_not_listed(
    run: RunFolder, spec: RunSpec, tmp_path: Path
) -> None:
    RunFolder.create(tmp_path / "other", spec)
    run.update(launcher="cluster")
    with pytest.raises(InputError, match="no launcher 'cluster': choose one of local"):
        launch(run)
    assert [each.name for each in list_runs(tmp_path)] == ["other"]


def test_a_log_is_read_from_its_end(run: RunFolder) -> None:
    assert log(run) == ""
    (run.path / "worker.log").write_bytes(b"begun\n" + b"x" * LONGEST + b"\xff the end\n")
    text = log(run)
    assert text.endswith("\N{REPLACEMENT CHARACTER} the end\n") and "begun" not in text


def test_of_four_launchers_that_come_at_once_one_starts_the_run(run: RunFolder) -> None:
    gate = Barrier(4)

    def launched(_: int) -> int | str:
        gate.wait()
        try:
            return launch(run)
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor(4) as launchers:
        answers = list(launchers.map(launched, range(4)))
    (process,) = [answer for answer in answers if isinstance(answer, int)]
    assert sum("worked on already" in str(answer) for answer in answers) == 3
    while is_alive(run):  # its images do not exist: it fails, once
        time.sleep(0.05)
    assert run.record()["pid"] == process
    assert sum(event["type"] == "failed" for event in run.events()[0]) == 1
