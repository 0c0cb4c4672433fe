"""The worker: done, stopped, killed, failed - and resumed with the same result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import sfcore.runs.worker as worker
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, is_alive, launch, stop
from sfcore.runs.protocol import Report, Session
from tests.runs.fake_worker import STEPS, assemble

SCRIPT = Path(__file__).with_name("fake_worker.py")


def result(folder: RunFolder) -> torch.Tensor:
    return folder.load_tensors("model")[0]["place"]


def steps(folder: RunFolder) -> list[int]:
    return [event["iteration"] for event in folder.events()[0] if event["type"] == "step"]


@pytest.fixture
def folder(tmp_path: Path, spec: RunSpec) -> RunFolder:
    return RunFolder.create(tmp_path / "run", spec)


@pytest.fixture
def expected(tmp_path: Path, spec: RunSpec) -> torch.Tensor:
    """The result of a run that nothing disturbed."""
    undisturbed = RunFolder.create(tmp_path / "undisturbed", spec)
    assert worker.work(undisturbed, assemble=assemble) == "done"
    return result(undisturbed)


def test_a_run_is_carried_out(folder: RunFolder) -> None:
    seen: list[str] = []
    assert worker.work(folder, assemble=assemble, watch=lambda event: seen.append(event["type"])) == "done"
    record = folder.record()
    assert record["status"] == folder.status == "done"
    assert record["pid"] == os.getpid() and record["started"] <= record["ended"]
    assert steps(folder) == list(range(1, STEPS + 1))
    assert seen == ["progress"] + ["step"] * STEPS
    assert not folder.has_tensors("checkpoint")


def test_what_people_should_know_is_told_before_the_first_step(folder: RunFolder) -> None:
    def telling(folder: RunFolder, report: Report) -> Session:
        session = assemble(folder, report)
        session.notes = ("it needs 3 GB",)
        return session

    worker.work(folder, assemble=telling)
    told = [event for event in folder.events()[0] if event["type"] != "progress"]
    assert (told[0]["type"], told[0]["text"]) == ("note", "it needs 3 GB") and told[1]["type"] == "step"


def test_a_run_that_is_done_stays_as_it_is(folder: RunFolder, expected: torch.Tensor) -> None:
    for _ in range(2):
        assert worker.work(folder, assemble=assemble) == "done"
    assert len(steps(folder)) == STEPS and torch.equal(result(folder), expected)


def test_a_stopped_run_resumes_to_the_same_result(folder: RunFolder, expected: torch.Tensor) -> None:
    def stop_at_ten(event: Mapping[str, Any]) -> None:
        if event.get("iteration") == 10:
            stop(folder)

    assert worker.work(folder, assemble=assemble, watch=stop_at_ten) == "stopped"
    assert folder.status == "stopped" and steps(folder) == list(range(1, 11))
    first = folder.record()["worked"]
    assert worker.work(folder, assemble=assemble) == "done"
    assert steps(folder) == list(range(1, STEPS + 1)) and torch.equal(result(folder), expected)
    record = folder.record()
    assert record["worked"] == pytest.approx(first + record["ended"] - record["started"])


def test_ctrl_c_stops_after_the_present_step(folder: RunFolder, expected: torch.Tensor) -> None:
    """The handler is called as Python calls it; no signal is sent. OpenVINO, which other tests may have run in this
    process, gives it a smaller stack for signals, and the kernel has ended it for overflowing that."""

    def interrupt(event: Mapping[str, Any]) -> None:
        if event.get("iteration") == 5:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)

    before = signal.getsignal(signal.SIGINT)
    assert worker.work(folder, assemble=assemble, watch=interrupt) == "stopped"
    assert signal.getsignal(signal.SIGINT) is before
    assert worker.work(folder, assemble=assemble) == "done"
    assert torch.equal(result(folder), expected)


def test_a_run_stopped_while_it_gets_ready_can_be_resumed(folder: RunFolder) -> None:
    def impatient(folder: RunFolder, report: Report) -> Session:
        folder.request_stop()
        return assemble(folder, report)

    assert worker.work(folder, assemble=impatient) == "stopped"
    assert steps(folder) == []
    assert worker.work(folder, assemble=assemble) == "done"


def test_a_run_killed_twice_resumes_to_the_same_result(folder: RunFolder, expected: torch.Tensor) -> None:
    for target in (8, 20):
        with subprocess.Popen([sys.executable, str(SCRIPT), str(folder.path)]) as process:
            deadline = time.monotonic() + 60
            while not (folder.has_tensors("checkpoint") and len(steps(folder)) >= target):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            process.kill()
        assert folder.status == "stopped"
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "ste')
    assert worker.work(folder, assemble=assemble) == "done"
    assert steps(folder) == list(range(1, STEPS + 1)) and torch.equal(result(folder), expected)


def test_bad_input_fails_the_run_and_says_why(folder: RunFolder) -> None:
    def refuse(folder: RunFolder, report: Report) -> Session:
        raise InputError("the frames are gone")

    with pytest.raises(InputError, match="frames are gone"):
        worker.work(folder, assemble=refuse)
    assert folder.status == "failed" and folder.record()["error"] == "the frames are gone"
    assert folder.events()[0][-1] | {"time": 0} == {"time": 0, "type": "failed", "error": "the frames are gone"}
    assert worker.work(folder, assemble=assemble) == "done"
    assert folder.record()["error"] is None


def test_a_fault_in_the_program_fails_the_run_and_is_raised(folder: RunFolder) -> None:
    def break_down(folder: RunFolder, report: Report) -> Session:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        worker.work(folder, assemble=break_down)
    assert folder.record()["error"] == "ZeroDivisionError: division by zero"


def test_a_launched_worker_is_a_process_of_its_own(folder: RunFolder) -> None:
    """Its specification names images that do not exist: it fails, and says so in the folder."""
    pid = launch(folder)
    assert pid != os.getpid() and is_alive(folder)
    with pytest.raises(InputError, match="worked on already"):
        launch(folder)
    deadline = time.monotonic() + 60
    while is_alive(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert folder.status == "failed" and folder.record()["pid"] == pid
    assert "some.pkl" in folder.record()["error"]
    assert folder.record()["error"] in (folder.path / "worker.log").read_text()
