"""Progress: a bar on terminals, lines in logs."""

from __future__ import annotations

import io

import pytest

from sfcore.cli import console
from sfcore.cli.console import Progress

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is; the last entry counts."""
    times = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: times[-1])
    monkeypatch.setenv("TERM", "xterm")
    return times


def test_a_log_gets_a_line_now_and_then_with_the_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for done in range(1, 41):
        clock.append(clock[-1] + 1.0)
        progress("tuning", done, 40)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "tuning: 2 of 40, 19 s left" and len(lines) == 4  # after a second, then every ten
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_that_cannot_redraw_gets_lines_like_a_log(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream) as progress:
        for done in range(1, 4):
            clock.append(clock[-1] + 1.0)
            progress("tuning", done, 40)
    assert stream.getvalue() == "tuning: 2 of 40, 19 s left\n"


def test_quick_work_shows_nothing(clock: list[float]) -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for done in range(1, 5):
        clock.append(clock[-1] + 0.1)
        progress("reading", done, 4)
    progress.close()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_taken_away(clock: list[float]) -> None:
    stream = Terminal()
    progress = Progress(stream)
    for done in range(1, 9):
        clock.append(clock[-1] + 1.0)
        progress("curves", done, 40, left=125.0)
    progress.close()
    said = stream.getvalue()
    assert "curves" in said and "/40" in said and "2 min left" in said
    assert said.endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[1A\x1b[2K" in said


def test_an_interrupted_command_leaves_the_terminal_as_it_was(clock: list[float]) -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Progress(stream) as progress:
        for done in range(1, 5):
            clock.append(clock[-1] + 1.0)
            progress("[curves]", done, 40)
        raise KeyboardInterrupt
    assert "[curves]" in stream.getvalue()
    assert stream.getvalue().rindex(SHOW_CURSOR) > stream.getvalue().rindex(HIDE_CURSOR)
