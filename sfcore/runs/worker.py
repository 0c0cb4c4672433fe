"""The process that carries a run out: ``python -m sfcore.runs.worker FOLDER``; the command line calls it in place.

A run killed at any moment resumes from its last checkpoint with the same result: the checkpoint holds all of
the tuner's state, and the events after it are forgotten and happen again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sfcore import clock
from sfcore.errors import InputError
from sfcore.memory import keep_freed_memory, peak
from sfcore.runs.folder import RunFolder, Status
from sfcore.runs.interruptions import Interruptions
from sfcore.runs.job import node_name, tie
from sfcore.runs.patience import patiently
from sfcore.runs.protocol import Report, Session, Stopped, Tuner
from sfcore.runs.session import build

CHECKPOINT_SECONDS = 10.0
PROGRESS_SECONDS = 0.5  # between two events of the same kind while the run gets ready


Build = Callable[[RunFolder, Report], Session]
Watch = Callable[[Mapping[str, Any]], None]


def work(
    folder: RunFolder,
    inherited: int | None = None,
    assemble: Build = build,
    watch: Watch | None = None,
    patience: float | None = None,
) -> Status:
    """Carry a run out, or on, until it is done or asked to stop.

    Args:
        inherited: descriptor of the run's lock when the parent process took it.
        assemble: makes the session of the run's specification.
        watch: is shown every event as it is written down.
        patience: of a worker on a cluster, which only its folder stops: the seconds that it waits for the lock of
            another, which may have died with its machine, and for storage that is full or out of reach.

    Returns:
        "done" or "stopped".

    Raises:
        InputError: the run cannot be carried out; the folder says so too.
    """
    keep_freed_memory()
    elsewhere, patience = patience is not None, patience or 0.0
    with folder.lock(inherited, patience), nullcontext() if elsewhere else _stopping_politely(folder):
        if folder.record()["status"] == "done":
            return "done"
        if inherited is None and not elsewhere:
            folder.clear_stop()
        broken = Interruptions(folder)
        broken.look()

        def emit(event: Mapping[str, Any]) -> None:
            folder.append(event)
            if watch:
                watch(event)

        def attempt() -> Status:
            folder.update(status="running", pid=os.getpid(), node=node_name(), started=started, ended=None, error=None)
            return _carry_out(folder, assemble, emit, broken)

        started = clock.now()
        try:
            status = patiently(attempt, patience, broken.waited)
        except BaseException as error:
            status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            _leave(folder, status, _described(error), started)
            raise
        _leave(folder, status, None, started, patience)
        return status


def _carry_out(folder: RunFolder, assemble: Build, emit: Watch, broken: Interruptions) -> Status:
    note = folder.load_tensors("checkpoint")[1] if folder.has_tensors("checkpoint") else {}
    folder.truncate(note)
    broken.write(emit)

    told = 0.0

    def report(phase: str, done: int, total: int) -> None:
        nonlocal told
        if done == total or time.monotonic() - told > PROGRESS_SECONDS:
            emit({"type": "progress", "phase": phase, "done": done, "total": total})
            told = time.monotonic()
        if folder.stop_requested:
            raise Stopped

    try:
        session = assemble(folder, report)
    except Stopped:
        return "stopped"
    if note:
        session.tuner.load_state(folder.load_tensors("checkpoint")[0])
    for text in session.notes:
        emit({"type": "note", "text": text})
    if not folder.preview.size:
        session.look(folder)
    if not _steps(folder, session, emit):
        return "stopped"
    session.finish(folder)
    folder.drop_tensors("checkpoint")
    return "done"


def _steps(folder: RunFolder, session: Session, emit: Watch) -> bool:
    """Step until done (True) or asked to stop (False), with a checkpoint now and then and at the end."""
    saved, tuner = time.monotonic(), session.tuner
    while not tuner.done and not folder.stop_requested:
        event = tuner.step()
        emit({"type": "step", **event})
        if "held_back" in event:
            session.look(folder)
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _checkpoint(folder, tuner)
            saved = time.monotonic()
    _checkpoint(folder, tuner)
    return tuner.done


def _checkpoint(folder: RunFolder, tuner: Tuner) -> None:
    folder.save_tensors("checkpoint", tuner.state(), {"iteration": tuner.iteration, **folder.sizes()})


def _leave(folder: RunFolder, status: Status, error: str | None, started: float, patience: float = 0.0) -> None:
    """Write down how the run ended; when even that cannot be written, a dead run counts as stopped."""

    def tell() -> None:
        folder.append({"type": status, **({"error": error} if error else {})})

    def write() -> None:
        ended = clock.now()
        worked = max(folder.record().get("worked", 0.0), 0.0) + ended - started  # with earlier stretches, unless killed
        folder.update(status=status, ended=ended, worked=worked, error=error, memory=peak())

    with suppress(InputError):
        patiently(tell, patience)  # apart from the record, or it would be told again where that cannot be written
        patiently(write, patience)


def _described(error: BaseException) -> str | None:
    if isinstance(error, KeyboardInterrupt):
        return None
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


@contextmanager
def _stopping_politely(folder: RunFolder) -> Iterator[None]:
    """SIGINT and SIGTERM ask for a stop after the present step; a second SIGINT interrupts at once."""

    def ask(number: int, _: Any) -> None:
        if folder.stop_requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        folder.request_stop()

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def main(argv: list[str] | None = None) -> int:
    """Entry point of the worker process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sfcore.runs.worker", description=work.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lock", type=int, help="file descriptor of the run's lock, held by the parent")
    parser.add_argument("--patience", type=float, help="of the child of a cluster's job: see sfcore.runs.job")
    arguments = parser.parse_args(argv)
    if arguments.patience is not None:
        tie()
    try:
        folder = patiently(lambda: RunFolder.open(arguments.folder), arguments.patience or 0.0)
        work(folder, arguments.lock, patience=arguments.patience)
    except InputError as error:
        print(f"sfcore: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
