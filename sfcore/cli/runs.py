"""``sfcore runs``: list, show, stop, resume, mlflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sfcore.cli.commands.runs import ExportRuns, ListRuns, ResumeRun, ShowRun, StopRun
from sfcore.cli.console import Answer, Progress, note, table
from sfcore.cli.tune import carry_out, summary
from sfcore.errors import InputError
from sfcore.runs import RunFolder, default_root, list_runs, stop
from sfcore.runs.tracking import FOLDERS, Tracking
from sfcore.search.folder import FILE as SEARCH
from sfcore.search.folder import trials


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


def export_to_mlflow(arguments: ExportRuns) -> Answer:
    """Write runs to an experiment of MLflow, one after the other."""
    found = list(dict.fromkeys(path for name in arguments.runs for path in _runs_of(name)))
    tracking, rows = Tracking(arguments.to, arguments.experiment), list[dict[str, Any]]()
    if tracking.is_folder:
        note(f"MLflow opens folders with {FOLDERS}=true only: its authors advise sqlite:///FILE.db")
    with Progress() as progress:
        for done, path in enumerate(found, 1):
            run_id, what = tracking.export(RunFolder.open(path))
            rows.append({"run": str(path), "mlflow_run": run_id, "export": what})
            progress("runs", done, len(found))
    content = {"to": tracking.shown, "experiment": arguments.experiment, "runs": rows}
    return Answer(content, table(rows))


def _runs_of(name: str) -> list[Path]:
    """A run, or all runs of a search. Raises InputError: there is neither, or nothing was tried."""
    path = next((path for path in (Path(name), default_root() / name) if (path / SEARCH).is_file()), None)
    if path is None:
        return [find_run(name).path]
    if not (found := [trial.run for trial in trials(path)]):
        raise InputError(f"the search {path} has no runs yet: export it when it has")
    return found


def find_run(name: str) -> RunFolder:
    """A run by its folder, or by its name in the folder of runs.

    Raises:
        InputError: there is none.
    """
    path = Path(name)
    inside = default_root() / name
    return RunFolder.open(inside if not path.exists() and inside.exists() else path)
