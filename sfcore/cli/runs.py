"""``sfcore runs``: list, show, stop, resume."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sfcore.cli.commands.runs import ListRuns, ResumeRun, ShowRun, StopRun
from sfcore.cli.console import Answer, table
from sfcore.cli.tune import carry_out, summary
from sfcore.runs import RunFolder, default_root, list_runs, stop


def list_all(arguments: ListRuns) -> Answer:
    """The runs in a folder."""
    root = Path(arguments.root) if arguments.root else default_root()
    content, rows = list[dict[str, Any]](), list[dict[str, Any]]()
    for folder in list_runs(root):
        record, spec = folder.record(), folder.spec
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(record["created"]))
        what = {"detector": spec.detector, "scheme": spec.scheme, "method": spec.method, "seed": spec.seed}
        where = {"launcher": folder.launcher, "node": record.get("node")}
        content.append({"run": str(folder.path), "status": folder.status, **what, "created": created, **where})
        rows.append(content[-1] | {"scheme": spec.full_scheme().name})
    return Answer(content, table(rows) or f"there are no runs in {root}")


def show(arguments: ShowRun) -> Answer:
    """What was asked of a run, how far it is and what it gave."""
    return summary(find_run(arguments.run))


def ask_to_stop(arguments: StopRun) -> Answer:
    """Let a run stop after its present step."""
    folder = find_run(arguments.run)
    stop(folder)
    return Answer({"run": str(folder.path), "status": "stopping"}, f"{folder.path} stops after its present step")


def resume(arguments: ResumeRun) -> Answer:
    """Go on with a run, here or in a process of its own."""
    return carry_out(find_run(arguments.run), arguments.detach)


def find_run(name: str) -> RunFolder:
    """A run by its folder, or by its name in the folder of runs.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    inside = default_root() / name
    return RunFolder.open(inside if not path.exists() and inside.exists() else path)
