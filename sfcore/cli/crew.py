"""Who shares the work of a command, as its options say."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sfcore.cli.console import note
from sfcore.runs.shards import Crew


class Shared(Protocol):
    """A command with the options of ``--launcher``, ``--address``, ``--cores``, ``--workers`` and ``--device``."""

    @property
    def launcher(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def cores(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def device(self) -> str: ...


def crew_of(arguments: Shared) -> Crew:
    """Those workers, who tell on stderr what goes wrong."""
    return Crew(arguments.launcher, arguments.address, arguments.cores, arguments.workers, arguments.device, note)


def absolute(path: str | None) -> str | None:
    """A file's whole path, for workers begin in folders of their own; what is no file stays as it is."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path
