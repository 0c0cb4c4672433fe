"""What commands print: one answer on stdout, progress with the time left on stderr."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TextIO

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

from sfcore.files import plain
from sfcore.names import printable

NAMED = 10  # problems that are printed; --json has them all
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
    """Print an answer on stdout; JSON is ASCII, in which a name that is no text keeps its bytes as ``\\udcXX``."""
    print(json.dumps(plain(answer.content), allow_nan=False) if as_json else answer.text, flush=True)


def note(text: str) -> None:
    """Tell something beside the answer in a line on stderr."""
    print(f"sfcore: {printable(text)}", file=sys.stderr, flush=True)


def forgive(stream: TextIO) -> None:
    """From now on write what a stream's encoding has no character for as ``\\u2013``, instead of ending in an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def with_problems(content: dict[str, Any], text: str, allowed: bool, scored: bool = True) -> Answer:
    """An answer whose content lists ``problems``: things missing or damaged. They are named at the end, and the exit
    code says that there are any unless that is ``allowed``. Nothing allows that no frame at all could be ``scored``."""
    problems = content["problems"]
    for line in problems[:NAMED]:
        note(line)
    if len(problems) > NAMED:
        note(f"{len(problems)} things are missing or damaged; --json names all of them")
    if not scored:
        note("no frame could be scored, so there are no figures: check that labels and predictions belong together")
    return Answer(content, text, 1 if not scored or (problems and not allowed) else 0)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as aligned columns under their names, with a dash where a row has nothing under one."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


class Progress:
    """How far the work is: a bar that is redrawn on a terminal, a line every now and then elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.console = Console(file=self.stream, force_terminal=self.stream.isatty())
        self.terminal = self.console.is_terminal and not self.console.is_dumb_terminal  # where a line can be redrawn
        self.interval = 0.2 if self.terminal else 10.0
        self.phase = ""
        self.first = 0
        self.begun = self.shown = 0.0
        self.bar: rich.progress.Progress | None = None

    def __call__(self, phase: str, done: int, total: int, left: float | None = None) -> None:
        """Report ``done`` of ``total`` steps of a phase.

        Args:
            left: seconds left, where the caller knows better than the phase's speed so far.
        """
        now = time.monotonic()
        if phase != self.phase:
            self.close()
            self.phase, self.first, self.begun, self.shown = phase, done - 1, now, now - self.interval + PATIENCE
        if now - self.shown < self.interval:
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.begun, 1e-9)
        left = (total - done) / max(rate, 1e-9) if left is None else left
        (self._draw if self.terminal else self._write)(done, total, duration(left))

    def phase_of(self, phase: str) -> Callable[[int, int], None]:
        """What reports steps of one phase."""
        return lambda done, total: self(phase, done, total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, so that what follows starts on a line of its own."""
        if self.bar:
            self.bar.stop()
            self.bar = None

    def _write(self, done: int, total: int, left: str) -> None:
        self.stream.write(f"{self.phase}: {done} of {total}, {left} left\n")
        self.stream.flush()

    def _draw(self, done: int, total: int, left: str) -> None:
        if self.bar is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]} left"),
            )
            self.bar = rich.progress.Progress(*columns, console=self.console, transient=True, redirect_stdout=False)
            self.bar.add_task(self.phase, total=total, left=left)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=done, total=total, left=left)


def duration(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is nothing too
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else printable(value)
