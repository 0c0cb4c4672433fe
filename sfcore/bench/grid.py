"""Carrying out all cells of a bench in a few processes; what is done stays done, and a failed cell stops no other."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from sfcore.bench.cell import CURVES, Carry, carry_out, is_finished
from sfcore.bench.plan import Cell
from sfcore.bench.pool import ClusterPool
from sfcore.bench.sources import Source
from sfcore.errors import InputError
from sfcore.runs import RunFolder, create_or_resume
from sfcore.runs.folder import Status

LOOK = 1.0  # seconds between two reports

Watch = Callable[[int, int, float | None], None]  # cells behind us, cells in all, seconds left
Timed = tuple[Cell, float]  # a cell, and when it was begun or what it took, in seconds


def carry_out_all(
    cells: Sequence[Cell],
    sources: tuple[Source, ...],
    jobs: int = 1,
    watch: Watch | None = None,
    carry: Carry = carry_out,
    pool: ClusterPool | None = None,
) -> dict[str, str]:
    """Carry out what is not done of a bench.

    Args:
        sources: unseen images to judge the tuned models on.
        jobs: processes, among which the processor's threads are divided.
        watch: is told how far it is, about every second.
        carry: what carries one cell out, in another process.
        pool: workers on a cluster in the place of processes.

    Returns:
        Which cells failed, and why.

    Raises:
        InputError: the folder of a cell holds a run of other settings, or there are no jobs; nothing is computed.
        KeyboardInterrupt: the running cells have stopped after their present step.
    """
    if jobs < 1:
        raise InputError(f"{jobs} jobs can do nothing: choose 1 or more")
    for cell in cells:
        create_or_resume(cell.path, cell.spec)
    grid, watch = Grid(cells, sources, jobs, carry), watch or (lambda done, total, left: None)
    if pool and grid.waiting:
        with pool.working():
            grid.run(pool, watch)
    while grid.waiting:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), prepare, (jobs,)) as processes:
            grid.run(processes, watch)
    return grid.failed


def prepare(jobs: int) -> None:
    """What a process of the pool does first."""
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which asks the runs to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent takes its processes along, or they would hold their runs when it is started again."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


class Grid:
    """A bench at work: every cell is waiting, running, or behind us.

    Attributes:
        waiting, running: cells; the running ones with when they were begun.
        failed: what went wrong, by cell.
    """

    def __init__(self, cells: Sequence[Cell], sources: tuple[Source, ...], jobs: int, carry: Carry) -> None:
        self.cells, self.sources, self.jobs, self.carry = cells, sources, jobs, carry
        self.needs = {cell.path: cell.curves for cell in cells}
        self.waiting = [cell for cell in cells if not is_finished(cell, sources)]
        self.running: dict[Future[Status], Timed] = {}
        self.took: list[Timed] = []
        self.failed: dict[str, str] = {}

    def run(self, pool: Executor, watch: Watch) -> None:
        """Feed the pool until nothing waits, or one of its processes dies, which ends all of them."""
        try:
            while self.feed(pool) or self.running:
                done, _ = wait(self.running, LOOK, FIRST_COMPLETED)
                for future in done:
                    self._collect(future)
                watch(len(self.cells) - len(self.waiting) - len(self.running), len(self.cells), self._seconds_left())
        except BrokenProcessPool:
            for future in list(self.running):
                self._collect(future)
        except KeyboardInterrupt:
            while wait(self.running, LOOK / 2).not_done:  # again and again: a run that begins clears an older request
                for cell, _ in self.running.values():
                    RunFolder(cell.path).request_stop()
            raise

    def feed(self, pool: Executor) -> bool:
        """Begin what can be begun; whether anything was."""
        before = len(self.running)
        while len(self.running) < self.jobs and (found := self._next()):
            cell, curves = found
            self.running[pool.submit(self.carry, cell, curves, self.sources)] = cell, time.monotonic()
            self.waiting.remove(cell)
        return len(self.running) > before

    def _next(self) -> tuple[Cell, Path | None] | None:
        """A cell, and the run that has the curves it needs; none whose curves are just being measured by another."""
        measured = {self.needs[cell.path] for cell, _ in self.running.values()}
        for cell in self.waiting:
            need = self.needs[cell.path]
            found = [other.path for other in self.cells if need and self.needs[other.path] == need]
            found = [path for path in found if (path / CURVES[-1]).is_file()]
            if found or need is None or need not in measured:
                return cell, None if not found or cell.path in found else found[0]
        return None

    def _collect(self, future: Future[Status]) -> None:
        """Note how a cell ended."""
        cell, begun = self.running.pop(future)
        self.took.append((cell, time.monotonic() - begun))
        try:
            if future.result() != "done":
                self.failed[str(cell)] = "it was stopped: run the same command again"
        except BrokenProcessPool:
            self.failed[str(cell)] = (
                "its process, or one beside it, died (for want of memory?): run the same command again"
            )
        except Exception as error:  # whatever a detector of the user's raises
            self.failed[str(cell)] = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"

    def _seconds_left(self) -> float | None:
        """Until all is done; None before the first cell is."""
        if not self.took:
            return None
        now = time.monotonic()
        rest = sum(max(self._expected(cell) - (now - begun), 0.0) for cell, begun in self.running.values())
        return (sum(map(self._expected, self.waiting)) + rest) / self.jobs

    def _expected(self, cell: Cell) -> float:
        """Seconds that a cell takes: the mean of the ones most like it, in method first, then in detector."""

        def likeness(other: Cell) -> int:
            return 2 * (other.label == cell.label) + (other.spec.detector == cell.spec.detector)

        most = max(likeness(other) for other, _ in self.took)
        alike = [seconds for other, seconds in self.took if likeness(other) == most]
        return sum(alike) / len(alike)
