"""All cells of a bench: done, failed, killed, interrupted - and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from sfcore.bench.cell import is_finished
from sfcore.bench.grid import Grid, carry_out_all
from sfcore.bench.plan import Cell
from sfcore.bench.rows import collect
from sfcore.bench.sources import Source
from sfcore.errors import InputError
from sfcore.runs import RunFolder
from tests.bench.fakes import IMAGE, SOURCES, carry, plan
from tests.runs.fake_worker import STEPS

SCRIPT = Path(__file__).with_name("fakes.py")


def ended(path: Path) -> float:
    return float(RunFolder.open(path).record()["ended"])


def steps(folder: RunFolder) -> list[int]:
    return [event["iteration"] for event in folder.events()[0] if event["type"] == "step"]


class AtOnce(Executor):
    """Carries out what it is given before it returns, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except InputError as error:
            future.set_exception(error)
        return future


class Never(Executor):
    """Takes what it is given and does nothing."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return Future()


def run(cells: list[Cell]) -> tuple[dict[str, str], list[tuple[int, int]]]:
    """Which cells failed, and the progress that was told."""
    told: list[tuple[int, int]] = []
    grid = Grid(cells, SOURCES, 1, carry)
    grid.run(AtOnce(), lambda done, total, left: told.append((done, total)))
    return grid.failed, told


def test_cells_that_are_done_are_skipped_and_new_ones_join_them(tmp_path: Path) -> None:
    (first,) = cells = plan("netwise").cells(tmp_path)
    assert run(cells) == ({}, [(1, 1)])
    before = ended(first.path)
    more = plan("netwise", "calibrate").cells(tmp_path)
    assert run(more) == ({}, [(2, 2)])
    assert ended(first.path) == before
    assert all(RunFolder.open(cell.path).status == "done" for cell in more)


def test_a_cell_is_judged_again_when_the_unseen_images_change(tmp_path: Path) -> None:
    (cell,) = plan("netwise").cells(tmp_path)
    run([cell])
    assert is_finished(cell, SOURCES)
    assert not is_finished(cell, (Source("others", (IMAGE,)),))
    assert not is_finished(cell, (Source("unseen", (IMAGE.replace("00-curve", "01-normal"),)),))


def test_a_failed_cell_is_named_and_stops_no_other(tmp_path: Path) -> None:
    cells = plan("netwise", schemes=("W2A2", "W4A4")).cells(tmp_path)
    assert run(cells)[0] == {"lstr-tiny W2A2 netwise, seed 0": "two bits are too few"}
    assert [RunFolder.open(cell.path).status for cell in cells] == ["failed", "done"]


def test_a_run_that_somebody_stops_counts_as_failed(tmp_path: Path) -> None:
    (cell,) = plan("netwise", schemes=("W5A5",)).cells(tmp_path)
    assert run([cell])[0] == {str(cell): "it was stopped: run the same command again"}


def test_curves_are_measured_once_for_a_detector_and_seed(tmp_path: Path) -> None:
    cells = plan("netwise", "selective-focus", schemes=("W8A8", "W4A4"), seeds=(0, 1)).cells(tmp_path)
    assert run(cells)[0] == {}
    first, second, third, fourth = (cell.path for cell in cells if cell.label == "selective-focus")
    said = [(path / "curves.json").read_text() for path in (first, second, third, fourth)]
    assert said == ["measured", str(first), "measured", str(third)]


def test_no_two_cells_measure_the_same_curves_at_once(tmp_path: Path) -> None:
    cells = plan("selective-focus", "netwise", schemes=("W8A8", "W4A4")).cells(tmp_path)
    grid = Grid(cells, SOURCES, 4, carry)
    grid.feed(Never())
    assert [str(cell) for cell in grid.waiting] == ["lstr-tiny W4A4 selective-focus, seed 0"]


def test_a_process_that_dies_stops_no_other_cell(tmp_path: Path) -> None:
    cells = plan("netwise", schemes=("W3A3", "W4A4")).cells(tmp_path)
    (name, why), *others = carry_out_all(cells, SOURCES, carry=carry).items()
    assert (name, others) == ("lstr-tiny W3A3 netwise, seed 0", []) and "died" in why
    assert [RunFolder.open(cell.path).status for cell in cells] == ["stopped", "done"]


def test_changed_settings_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    cells = plan("netwise").cells(tmp_path)
    run(cells)
    changed = plan("netwise", limit=1).cells(tmp_path)
    with pytest.raises(InputError, match="limit None there, 1 now"):
        carry_out_all(changed, SOURCES, carry=carry)
    with pytest.raises(InputError, match="0 jobs"):
        carry_out_all(cells, SOURCES, jobs=0, carry=carry)


def heed_interrupts() -> None:
    """What is started in the background of a shell without job control inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_bench_that_is_ended_goes_on(tmp_path: Path, how: signal.Signals) -> None:
    """Killed, it takes its processes along; interrupted, its runs stop after their present step."""
    (cell,) = plan("netwise").cells(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command, quiet = [sys.executable, SCRIPT, tmp_path], subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stderr=quiet, preexec_fn=heed_interrupts) as process:
        folder, deadline = RunFolder(cell.path), time.monotonic() + 60
        while not (cell.path / "events.jsonl").exists() or len(steps(folder)) < 5:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        process.wait(60)
    while folder.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert folder.status == "stopped" and 5 <= len(steps(folder)) < STEPS
    assert run([cell])[0] == {}
    assert steps(folder) == list(range(1, STEPS + 1)) and IMAGE in folder.spec.images


def test_rows_come_in_the_order_of_the_tables_and_name_what_it_took(tmp_path: Path) -> None:
    """The fake worker takes no time to speak of, and every cell of one seed shares one measurement of curves."""
    cells = plan("selective-focus", "qdrop", seeds=(4, 2), schemes=("W8A8", "W4A4")).cells(tmp_path)
    run(cells)
    rows = collect(cells, SOURCES)
    assert [(row.bits, row.method, row.seed) for row in rows[:5]] == [
        ("W8A8", "selective-focus", 4),
        ("W8A8", "selective-focus", 2),
        ("W8A8", "qdrop", 4),
        ("W8A8", "qdrop", 2),
        ("W4A4", "selective-focus", 4),
    ]
    assert [(row.iterations, row.k, row.f1) for row in rows[1:3]] == [(STEPS, 2, 1.0), (STEPS, None, 1.0)]
    assert rows[2].tuning_seconds == rows[2].reference_seconds is not None and rows[2].curve_seconds == 0.0
    assert collect(cells, (Source("others", (IMAGE,)),)) == []
