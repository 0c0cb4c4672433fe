"""The rows that a benchmark measures, one at a time, so that it can go on where it was ended."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sfcore.json_lines import JsonLines

Row = dict[str, Any]


class Rows(list[Row]):
    """What has been measured, told on stderr and, where there is a file, kept in it as a line of JSON.

    Args:
        file: its rows are taken as measured.
    """

    def __init__(self, file: Path | None) -> None:
        self.kept = JsonLines(file) if file else None
        super().__init__(self.kept.read()[0] if self.kept else [])

    def add(self, row: Row) -> None:
        """Note one more."""
        self.append(row)
        print(row, file=sys.stderr, flush=True)
        if self.kept:
            self.kept.append(row)
