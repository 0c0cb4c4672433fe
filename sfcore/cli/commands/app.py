"""``sfcore app``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class App(Command):
    """Open the app in the browser."""

    port: Annotated[int, typer.Option(metavar="N", help="Of the page.")] = 8501

    def answer(self) -> Answer:
        from sfcore.cli.app import run

        return run(self)
