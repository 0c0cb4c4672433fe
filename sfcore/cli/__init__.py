"""The ``sfcore`` command. Exit codes: 0 fine, 1 something given cannot be used, 2 usage, 130 interrupted."""

from __future__ import annotations

import sys

from sfcore.cli.commands import app as commands  # the module sfcore.cli.app would take its name
from sfcore.cli.console import forgive


def main(argv: list[str] | None = None) -> int:
    """Carry out one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        forgive(stream)
    try:
        commands(argv, prog_name="sfcore")
    except SystemExit as end:
        return int(end.code or 0)
    return 0
