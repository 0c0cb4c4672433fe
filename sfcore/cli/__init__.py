"""The ``sfcore`` command. Exit codes: 0 fine, 1 something given cannot be used, 2 usage, 130 interrupted."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sfcore.cli.console import forgive, note, show
from sfcore.cli.parser import build_parser
from sfcore.errors import InputError
from sfcore.files import advice
from sfcore.registries import NameClash


def main(argv: list[str] | None = None) -> int:
    """Carry out one command; returns the exit code.

    The command's module is imported only now, so that help does not wait for PyTorch.
    """
    for stream in (sys.stdout, sys.stderr):
        forgive(stream)
    arguments = build_parser().parse_args(argv)
    try:
        with _clashes_noted():
            answer = importlib.import_module(arguments.module).run(arguments)
        show(answer, arguments.json)
        return int(answer.code)
    except KeyboardInterrupt:
        note("interrupted")
        return 130
    except BrokenPipeError:  # whoever read our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except InputError as error:
        note(f"error: {error}")
    except OSError as error:
        note(f"error: {error.filename or 'the system'} {advice(error)}")
    return 1


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
