"""The engine works without the app: nothing in ``sfcore`` imports the app, its pages or Streamlit."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ABOVE = {"app", "pages", "streamlit"}


def imported(source: str) -> Iterator[str]:
    """The modules that a module imports by their full names, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_the_engine_imports_nothing_of_the_app() -> None:
    modules = sorted((ROOT / "sfcore").rglob("*.py"))
    above = {
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules
        for name in imported(module.read_text(encoding="utf-8"))
        if name.partition(".")[0] in ABOVE
    }
    assert modules and above == set()


def test_imports_are_found_wherever_they_stand() -> None:
    source = "import app.style as s\ndef f():\n    from streamlit import text\n    from .app import x\n"
    assert set(imported(source)) == {"app.style", "streamlit"}


def test_lanes_stay_in_their_rooms() -> None:
    """What is not about lanes speaks to a detector's task: one more kind of answer touches none of it."""
    allowed = ("sfcore/tasks/lanes", "sfcore/datasets", "sfcore/evaluation", "sfcore/detectors", "sfcore/lanes.py")
    modules = [path for folder in ("sfcore", "app", "pages") for path in sorted((ROOT / folder).rglob("*.py"))]
    others = [path for path in modules if not str(path.relative_to(ROOT)).startswith(allowed)]
    others.append(ROOT / "sfcore" / "detectors" / "base.py")
    assert [str(path) for path in others if re.search(r"\bLanes\b", path.read_text(encoding="utf-8"))] == []
