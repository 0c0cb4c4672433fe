"""``sfcore runs``: list, show, stop, resume, mlflow."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command, group
from sfcore.cli.commands.options import RUN, Detach, Run
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class ListRuns(Command):
    """List the runs in a folder."""

    root: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder of runs (default: $SFCORE_RUNS or ./runs).")
    ] = None

    def answer(self) -> Answer:
        from sfcore.cli.runs import list_all

        return list_all(self)


@dataclass(frozen=True, kw_only=True)
class ShowRun(Command):
    """Show a run: what was asked, how far it is, what it gave."""

    run: Run

    def answer(self) -> Answer:
        from sfcore.cli.runs import show

        return show(self)


@dataclass(frozen=True, kw_only=True)
class StopRun(Command):
    """Ask a run to stop; it can be resumed."""

    run: Run

    def answer(self) -> Answer:
        from sfcore.cli.runs import ask_to_stop

        return ask_to_stop(self)


@dataclass(frozen=True, kw_only=True)
class ResumeRun(Command):
    """Go on with a stopped run."""

    run: Run
    detach: Detach = False

    def answer(self) -> Answer:
        from sfcore.cli.runs import resume

        return resume(self)


@dataclass(frozen=True, kw_only=True)
class ExportRuns(Command):
    """Write runs to MLflow; what is there and has not changed stays as it is."""

    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=f"{RUN} A search stands for all of its runs.")]
    to: Annotated[
        str, typer.Option(metavar="URI", help="http://HOST:PORT of a server, sqlite:///FILE.db, or a folder.")
    ]
    experiment: Annotated[str, typer.Option(metavar="NAME", help="It is made where there is none.")] = "selective-focus"

    def answer(self) -> Answer:
        from sfcore.cli.runs import export_to_mlflow

        return export_to_mlflow(self)


app = group(
    "List, show, stop, resume and export runs.",
    {"list": ListRuns, "show": ShowRun, "stop": StopRun, "resume": ResumeRun, "mlflow": ExportRuns},
)
