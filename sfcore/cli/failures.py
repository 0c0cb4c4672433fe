"""What can go wrong while a command works, as one line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from sfcore.cli.console import note
from sfcore.errors import InputError
from sfcore.files import advice
from sfcore.registries import NameClash

FAILED, INTERRUPTED = 1, 130


@contextmanager
def failures_said() -> Iterator[None]:
    """Turn what is raised within the block into a line and an exit code.

    Raises:
        typer.Exit: something given cannot be used (1), or the command was interrupted (130).
    """
    try:
        with _clashes_noted():
            yield
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # whoever read our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except InputError as error:
        note(f"error: {error}")
        raise typer.Exit(FAILED) from None
    except OSError as error:
        note(f"error: {error.filename or 'the system'} {advice(error)}")
        raise typer.Exit(FAILED) from None


@contextmanager
def _clashes_noted() -> Iterator[None]:
    """Warnings of names that two plug-ins share, as notes; others as ever."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", NameClash)
        usual = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, NameClash):
                note(str(message))
            else:
                usual(message, category, *where, **more)

        warnings.showwarning = tell
        yield
