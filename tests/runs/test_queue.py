"""Launched runs take turns on a device, and whatever dies leaves the queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, ahead, launch, queue, stop
from sfcore.runs.launchers.local import next_turn

MOST = 40 * 1024  # kB of memory that a waiting process may take


def until(holds: Callable[[], bool], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def make(tmp_path: Path, spec: RunSpec) -> Iterator[Callable[..., RunFolder]]:
    """Make runs of images that do not exist, side by side in one folder; none is left at the end."""
    made: list[RunFolder] = []

    def one(name: str, device: str = "cpu") -> RunFolder:
        made.append(RunFolder.create(tmp_path / name, replace(spec, device=device)))
        return made[-1]

    yield one
    for run in made:
        run.request_stop()
    until(lambda: not any(run.is_alive() for run in made))


@pytest.fixture
def busy(make: Callable[..., RunFolder]) -> Iterator[ExitStack]:
    """A first run that somebody works on, until the stack is closed."""
    with ExitStack() as stack:
        stack.enter_context(make("first").lock())
        yield stack


def test_a_launched_run_waits_for_those_before_it(make: Callable[..., RunFolder], busy: ExitStack) -> None:
    second, third = make("second"), make("a-third")  # the order is that of launching, not that of names
    launch(second)
    launch(third)
    assert (second.status, third.status) == ("queued", "queued")
    assert [run.name for run in ahead(second)] == ["first"]
    assert [run.name for run in ahead(third)] == ["first", "second"]
    busy.close()
    until(lambda: third.status == "failed")  # there is nothing to tune on, as the worker says when its turn has come
    assert second.record()["started"] < third.record()["started"]
    assert second.record()["ended"] <= third.record()["started"]


def test_a_waiting_process_is_light(make: Callable[..., RunFolder], busy: ExitStack) -> None:
    status = Path(f"/proc/{launch(make('second'))}/status")
    if not status.exists():
        pytest.skip("this system has no /proc")
    time.sleep(4 * queue.GLANCE)
    (resident,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident) < MOST


def test_stop_takes_a_run_out_of_the_queue_and_launching_it_again_puts_it_at_the_end(
    make: Callable[..., RunFolder], busy: ExitStack
) -> None:
    second, third = make("second"), make("third")
    launch(second)
    launch(third)
    stop(second)
    until(lambda: second.status == "stopped")
    assert [run.name for run in ahead(third)] == ["first"]
    launch(second)
    assert [run.name for run in ahead(second)] == ["first", "third"]


def test_a_killed_process_does_not_block_the_queue(make: Callable[..., RunFolder], busy: ExitStack) -> None:
    second, third = make("second"), make("third")
    pid = launch(second)
    launch(third)
    os.kill(pid, signal.SIGKILL)
    until(lambda: second.status == "stopped")
    assert [run.name for run in ahead(third)] == ["first"]


def test_runs_of_another_device_are_not_waited_for(make: Callable[..., RunFolder], busy: ExitStack) -> None:
    other = make("other")
    launch(other)
    assert len(ahead(other)) == 1
    other.update(device="cuda")  # as launching writes down where there is one
    assert ahead(other) == []


def test_runs_of_another_launcher_and_files_beside_the_runs_are_not_waited_for(
    tmp_path: Path, make: Callable[..., RunFolder], busy: ExitStack
) -> None:
    (tmp_path / "notes.txt").touch()
    second = make("second")
    launch(second)
    assert [run.name for run in ahead(second)] == ["first"]
    first = RunFolder(tmp_path / "first")
    first.update(launcher="elsewhere")
    assert ahead(second) == []
    first.update(launcher="local")


def test_a_run_that_is_done_is_not_launched(make: Callable[..., RunFolder]) -> None:
    run = make("run")
    run.update(status="done")
    with pytest.raises(InputError, match="is done"):
        launch(run)
    assert run.status == "done"


def test_no_two_runs_get_the_same_turn(tmp_path: Path, make: Callable[..., RunFolder]) -> None:
    """While a turn is being written down, another process has to wait for the next one."""
    run = make("run")
    ask = "from pathlib import Path; from sfcore.runs.launchers.local import next_turn\n"
    ask += "print('asks', flush=True)\nwith next_turn(Path('.')) as n: print(n)"
    with next_turn(tmp_path) as turn:
        other = subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        assert other.stdout and other.stdout.readline() == "asks\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        run.update(turn=turn)
    assert other.communicate(timeout=60)[0] == f"{turn + 1}\n"
