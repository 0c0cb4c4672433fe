"""A search in the background: ``python -m sfcore.search.process PATH`` launches trial after trial and follows each.

Its trials are launched as all runs are, so that they take their turns on a device, or go to other machines; the
process itself only waits for them. It outlives whoever started it, and its trials outlive it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from sfcore.errors import InputError
from sfcore.files import explained, parse_json, read_text, write_json
from sfcore.records import record
from sfcore.runs import RunFolder
from sfcore.runs import launch as launch_run
from sfcore.runs.folder import Status
from sfcore.runs.launcher import LOCAL, LOG, launcher_of
from sfcore.search.presence import at_work, clear_stop, is_alive, stop_requested
from sfcore.search.study import check_installed
from sfcore.search.work import Watch, Worker, work_on

FILE = "launched.json"
GLANCE = 1.0  # seconds between two looks at a trial


@record("how the search was launched")
class Launched:
    """How a search works in the background.

    Attributes:
        launcher, address, cores: of its trials, see :class:`sfcore.runs.launcher.Launcher`.
        at_once: trials at a time; the local launcher has them wait for each other all the same.
        owner: who started it on a server for a team: id and name.
    """

    launcher: str = LOCAL
    address: str | None = None
    cores: int = 1
    at_once: int = 1
    owner: dict[str, str] = field(default_factory=dict)


def launched(path: Path) -> Launched:
    """How a search was launched; as usual where it was carried out on the command line alone.

    Raises:
        InputError: the file is damaged.
    """
    file = path / FILE
    if not file.exists():
        return Launched()
    try:
        return Launched(**parse_json(read_text(file)))
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is damaged ({error}): delete it, then launch the search again") from error


def launch(path: Path, how: Launched | None = None) -> int:
    """Begin a search that is written down, or go on with it, in a process of its own; returns the id of that.

    Args:
        how: None for as before.

    Raises:
        InputError: it is going on already, Optuna is not installed, or the folder cannot be written.
    """
    check_installed()
    if is_alive(path):
        raise InputError(f"the search {path} is going on already: wait, or stop it")
    clear_stop(path)
    if how:
        write_json(path / FILE, asdict(how))
    with at_work(path) as descriptor, explained(path / LOG), (path / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sfcore.search.process", str(path.resolve()), "--lock", str(descriptor)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[descriptor], start_new_session=True,
        )  # fmt: skip
    return process.pid


def log(path: Path) -> str:
    """What the process in the background printed the last time."""
    return read_text(path / LOG) if (path / LOG).exists() else ""


def launching(path: Path, how: Launched) -> Worker:
    """What carries out a trial of a search by launching and following it."""

    def worker(folder: RunFolder, watch: Any) -> Status:
        if how.owner and not folder.record().get("owner") and not folder.is_alive():
            folder.update(owner=how.owner)
        if folder.status != "done" and not folder.is_alive():
            launch_run(folder, how.launcher, how.address, how.cores)
        offset, alive = 0, True
        while alive:
            alive = folder.is_alive()
            events, offset = folder.events(offset)
            for event in events:
                watch(event)
            if alive and stop_requested(path):
                launcher_of(folder).stop(folder)
            time.sleep(GLANCE if alive else 0)
        if folder.status == "failed":
            raise InputError(folder.record().get("error") or f"{folder.path} failed")
        return folder.status

    return worker


def carry_on(path: Path, watch: Watch | None = None) -> None:
    """Launch trials until none is left or the search is asked to stop.

    Raises:
        InputError: it cannot go on.
        KeyboardInterrupt: a trial was stopped, or the search.
    """
    how = launched(path)
    with ThreadPoolExecutor(how.at_once) as pool:
        for each in [pool.submit(work_on, path, watch, launching(path, how)) for _ in range(how.at_once)]:
            each.result()


def main(argv: list[str] | None = None) -> int:
    """Entry point of the process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sfcore.search.process", description=carry_on.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--lock", type=int, help="file descriptor of a lock, taken by the parent")
    arguments = parser.parse_args(argv)
    with at_work(arguments.path, arguments.lock):
        try:
            carry_on(arguments.path)
        except InputError as error:
            print(f"sfcore: error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
