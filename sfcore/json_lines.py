"""A file of one JSON object a line that grows while work goes on and is read meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfcore.files import explained


class JsonLines:
    """An append-only file; one that does not exist is empty.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, content: Mapping[str, Any]) -> None:
        """Add a line, after one that a crash tore as well. Raises InputError: it cannot be written."""
        with explained(self.path), self.path.open("a+b") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            torn = file.read(1) not in (b"", b"\n")
            file.write(("\n" * torn + json.dumps(content) + "\n").encode())

    def read(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The objects after byte ``offset``, and the offset to go on from.

        A last line that is still being written, or was torn by a crash, is left for later. When the file has
        become shorter (the run resumed from an older checkpoint), reading starts over: the objects then come
        from the beginning, and so does whoever keeps them.
        """
        if not self.path.exists():
            return [], 0
        with self.path.open("rb") as file:
            if offset > file.seek(0, os.SEEK_END):
                offset = 0
            file.seek(offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        return [found for line in whole.splitlines() if (found := _parsed(line)) is not None], offset + len(whole)

    def truncate(self, size: int) -> None:
        """Forget what is after byte ``size``: a resumed run repeats what happened after its checkpoint."""
        if self.size > size:
            with explained(self.path):
                os.truncate(self.path, size)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An object, or None for a line that a crash left broken."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
