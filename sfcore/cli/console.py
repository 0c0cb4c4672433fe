"""What commands print: one answer on stdout, progress with the time left on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass
from typing import Any, TextIO

PATIENCE = 1.0  # seconds before progress is worth showing


@dataclass(frozen=True)
class Answer:
    """The result of a command.

    Attributes:
        content: for ``--json``.
        text: for people.
        code: the exit code.
    """

    content: Any
    text: str
    code: int = 0


def show(answer: Answer, as_json: bool) -> None:
    """Print an answer on stdout."""
    print(json.dumps(_plain(answer.content), allow_nan=False) if as_json else answer.text, flush=True)


def note(text: str) -> None:
    """Tell something beside the answer, on stderr."""
    print(f"sfcore: {text}", file=sys.stderr, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as aligned columns under their names."""
    if not rows:
        return ""
    cells = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


class Progress:
    """How far the work is: one line that is rewritten on a terminal, a line every now and then elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.interval = 0.2 if self.terminal else 10.0
        self.phase = ""
        self.first = 0
        self.begun = self.shown = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Report ``done`` of ``total`` steps of a phase."""
        now = time.monotonic()
        if phase != self.phase:
            self.close()
            self.phase, self.first, self.begun, self.shown = phase, done - 1, now, now - self.interval + PATIENCE
        if now - self.shown < self.interval:
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.begun, 1e-9)
        left = duration((total - done) / max(rate, 1e-9))
        self._write(f"{phase}: {done} of {total}, {left} left")

    def close(self) -> None:
        """Leave the terminal's line, so that what follows starts on its own."""
        if self.terminal and self.phase and self.shown >= self.begun:
            self.stream.write("\r\033[K")
            self.stream.flush()

    def _write(self, text: str) -> None:
        self.stream.write(f"\r\033[K{text}" if self.terminal else f"{text}\n")
        self.stream.flush()


def duration(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is nothing too
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """JSON has no NaN: undefined numbers become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
