"""Runs: what was asked (RunSpec), what it made (RunFolder), and the process that makes it."""

from sfcore.runs.folder import RunFolder
from sfcore.runs.launch import ahead, create_or_resume, default_root, is_alive, launch, list_runs, stop, unused
from sfcore.runs.spec import RunSpec

__all__ = [
    "RunFolder", "RunSpec", "ahead", "create_or_resume", "default_root", "is_alive", "launch", "list_runs", "stop",
    "unused",
]  # fmt: skip
