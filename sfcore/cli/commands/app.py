"""``sfcore app``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.console import Answer
from sfcore.serving import Serving

WITH_ROOT = "With --root."


@dataclass(frozen=True, kw_only=True)
class App(Command):
    """Open the app in the browser, of this machine or, with --root, for a team."""

    port: Annotated[int, typer.Option(metavar="N", help="Of the page.")] = 8501
    address: Annotated[
        str, typer.Option(metavar="A", help="Address that it listens on; others than 127.0.0.1 want --root.")
    ] = "127.0.0.1"
    root: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Serve a team, who read from this folder alone; again for more."),
    ] = None
    base_path: Annotated[str, typer.Option(metavar="P", help="Path under which a reverse proxy serves it.")] = ""
    queued: Annotated[
        int, typer.Option(metavar="N", help=f"{WITH_ROOT} Runs of one person that wait or work at once.")
    ] = Serving.queued
    upload_mb: Annotated[
        int, typer.Option(metavar="MB", help=f"{WITH_ROOT} Of one person's uploads, and what their runs keep of them.")
    ] = Serving.upload_mb
    sessions: Annotated[
        int, typer.Option(metavar="N", help=f"{WITH_ROOT} Pages of one person that are open at once.")
    ] = Serving.sessions
    visitors: Annotated[int, typer.Option(metavar="N", help=f"{WITH_ROOT} Pages of all that are open at once.")] = (
        Serving.visitors
    )
    launcher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=A]",
            help=f"{WITH_ROOT} Visitors may start runs by it, at address A alone, as well as here; again for more.",
        ),
    ] = None

    def answer(self) -> Answer:
        from sfcore.cli.app import run

        return run(self)
