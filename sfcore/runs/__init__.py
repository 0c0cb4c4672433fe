"""Runs: what was asked (RunSpec), what it made (RunFolder), and the process that makes it.

What is named here is imported when it is asked for: a process that waits for its turn needs nothing of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfcore.runs.folder import RunFolder
    from sfcore.runs.spec import RunSpec
    from sfcore.runs.store import (
        ahead,
        create_or_resume,
        default_root,
        is_alive,
        launch,
        list_runs,
        log,
        stop,
        unused,
    )

__all__ = [
    "RunFolder", "RunSpec", "ahead", "create_or_resume", "default_root", "is_alive", "launch", "list_runs", "log",
    "stop", "unused",
]  # fmt: skip
_ELSEWHERE = {"RunFolder": "folder", "RunSpec": "spec"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'store')}"), name)
