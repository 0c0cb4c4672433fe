"""Who did what, as JSON lines beside a team's runs: time, person, action, and the run or path that it was about."""

from __future__ import annotations

import os
import time
from pathlib import Path

import streamlit as st
from filelock import FileLock

from app.team.people import person
from sfcore.json_lines import JsonLines
from sfcore.roots import runs
from sfcore.serving import serving

FILE = ".activity.jsonl"
MOST_BYTES = 10_000_000  # of a file, before it is put away
KEPT = 5  # files that were put away: .activity.jsonl.1 is the newest


def note(action: str, about: object = "") -> None:
    """Write down what this visitor did; nothing where one person works alone.

    Raises:
        InputError: it cannot be written.
    """
    if serving() is not None:
        append(runs() / FILE, {"time": round(time.time(), 3), "person": person().record, "action": action,
                               "about": str(about)})  # fmt: skip


def note_once(action: str, about: str) -> None:
    """:func:`note`, unless this visitor did the same the last time: pages are drawn again and again."""
    if st.session_state.get(f"noted {action}") != about:
        note(action, about)
        st.session_state[f"noted {action}"] = about


def append(path: Path, line: dict[str, object]) -> None:
    """Add a line, by one process at a time; a file that is full is put away first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists() and path.stat().st_size >= MOST_BYTES:
            _rotate(path)
        JsonLines(path).append(line)


def _rotate(path: Path) -> None:
    for number in range(KEPT, 0, -1):
        older = path if number == 1 else Path(f"{path}.{number - 1}")
        if older.exists():
            os.replace(older, f"{path}.{number}")
