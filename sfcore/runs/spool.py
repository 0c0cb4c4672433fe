"""Errands for workers elsewhere: files in a folder that all share, moved on by renaming, so that each is taken once.

========================  ==================================================================
driver, workers/NAME      locks: whoever holds one is alive; a worker's says where it is
waiting/N.json            an errand that nobody has begun
taken/N.json@NAME         one that the worker of that name carries out
ended/N.json              how it ended: what came of it (``done``), or an ``error``
closed                    is there once there is nothing more to do
========================  ==================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sfcore.files import write_json
from sfcore.locks import take

WAITING, TAKEN, ENDED, WORKERS = "waiting", "taken", "ended", "workers"
DRIVER, CLOSED = "driver", "closed"
AT = "@"
Errand = dict[str, Any]  # as JSON holds it; what it means is between the driver and the workers that it hires


class Spool:
    """The folder, for both sides."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make its folders."""
        for name in (WAITING, TAKEN, ENDED, WORKERS):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    # -- the driver's side -----------------------------------------------------------------------

    def put(self, number: int, errand: Errand) -> None:
        """Let a worker take an errand."""
        write_json(self.path / WAITING / f"{number:06}.json", errand)

    def put_back(self) -> list[tuple[int, str]]:
        """Let errands of workers that died be taken again; returns the numbers, and what the workers said of
        themselves."""
        found = []
        for file in sorted((self.path / TAKEN).iterdir()):
            name, _, worker = file.name.partition(AT)
            if not self.holds(f"{WORKERS}/{worker}") and not (self.path / ENDED / name).exists():
                os.rename(file, self.path / WAITING / name)
                found.append((_number(name), (self.path / WORKERS / worker).read_text() or worker))
        return found

    def ended(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """What has ended since this was asked last."""
        for file in sorted((self.path / ENDED).glob("*.json")):
            yield _number(file.name), json.loads(file.read_bytes())
            file.unlink()

    @property
    def begun(self) -> int:
        """How many workers have ever begun."""
        return len(list((self.path / WORKERS).iterdir()))

    def close(self) -> None:
        """Send the workers home."""
        (self.path / CLOSED).touch()

    # -- a worker's side -------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether there may be more to do: the driver lives and has not closed the spool."""
        return not (self.path / CLOSED).exists() and self.holds(DRIVER)

    def taken(self, worker: str) -> tuple[Path, Errand] | None:
        """An errand for a worker, and its file; None where none waits."""
        for file in sorted((self.path / WAITING).glob("[0-9]*.json")):
            mine = self.path / TAKEN / f"{file.name}{AT}{worker}"
            with suppress(FileNotFoundError):  # another has it
                os.rename(file, mine)
                return mine, json.loads(mine.read_bytes())
        return None

    def finish(self, mine: Path, how: dict[str, Any]) -> None:
        """Say how an errand ended."""
        write_json(self.path / ENDED / mine.name.partition(AT)[0], how)
        mine.unlink()

    # -- locks -----------------------------------------------------------------------------------

    @contextmanager
    def hold(self, name: str, about: str = "") -> Iterator[None]:
        """Be alive for the others, under a name."""
        descriptor = os.open(self.path / name, os.O_RDWR | os.O_CREAT)
        try:
            take(descriptor)
            os.write(descriptor, about.encode())
            yield
        finally:
            os.close(descriptor)

    def holds(self, name: str) -> bool:
        """Whether whoever has a name is alive."""
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not take(descriptor, shared=True)
        finally:
            os.close(descriptor)


def _number(name: str) -> int:
    return int(name.partition(".")[0])
