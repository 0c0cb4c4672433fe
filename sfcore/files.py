"""Files: writing them so that a crash or a full disk leaves the old content, and telling a new one from the old."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sfcore.errors import InputError

Stamp = tuple[int, int]  # see :func:`stamp`


def stamp(path: Path) -> Stamp:
    """What tells a file from another that has taken its name: when it was written, in nanoseconds, and its size.

    Raises:
        InputError: there is no such file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): put it back, or choose another") from error
    return found.st_mtime_ns, found.st_size


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about writing ``path`` into one line for people.

    Raises:
        InputError: the disk is full, the folder is read-only or missing, and so on.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot write {path} ({reason}): free space or choose another folder, then run again"
        ) from error


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file in one step; after this returns, the content survives a power cut.

    Raises:
        InputError: it cannot be written; the old file is as it was, and nothing is left beside it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise


def write_json(path: Path, content: Any) -> None:
    """:func:`write_atomic` of readable JSON; NaN and infinity are refused, because JSON has none."""
    write_atomic(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
