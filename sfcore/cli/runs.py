"""``sfcore runs``: list, show, stop, resume."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sfcore.cli.console import Answer, table
from sfcore.cli.tune import carry_out, summary
from sfcore.runs import RunFolder, default_root, list_runs, stop


def run(arguments: SimpleNamespace) -> Answer:
    """Carry out one of the actions."""
    if arguments.action == "list":
        return _list(Path(arguments.root) if arguments.root else default_root())
    folder = find_run(arguments.run)
    if arguments.action == "stop":
        stop(folder)
        return Answer({"run": str(folder.path), "status": "stopping"}, f"{folder.path} stops after its present step")
    return carry_out(folder, arguments.detach) if arguments.action == "resume" else summary(folder)


def find_run(name: str) -> RunFolder:
    """A run by its folder, or by its name in the folder of runs.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    inside = default_root() / name
    return RunFolder.open(inside if not path.exists() and inside.exists() else path)


def _list(root: Path) -> Answer:
    content, rows = list[dict[str, Any]](), list[dict[str, Any]]()
    for folder in list_runs(root):
        record, spec = folder.record(), folder.spec
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(record["created"]))
        what = {"detector": spec.detector, "scheme": spec.scheme, "method": spec.method, "seed": spec.seed}
        content.append({"run": str(folder.path), "status": folder.status, **what, "created": created})
        rows.append(content[-1] | {"scheme": spec.full_scheme().name})
    return Answer(content, table(rows) or f"there are no runs in {root}")
