"""``sfcore scenes``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Size, size_option
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Scenes(Command):
    """Render road scenes with exact lane labels."""

    out: Annotated[str, typer.Option(metavar="DIR", help="Gets the pictures and their labels.")]
    count: Annotated[int, typer.Option(metavar="N", help="How many.")] = 24
    seed: Annotated[int, typer.Option(metavar="N", help="Of the first scene; the others follow.")] = 0
    scenario: Annotated[str | None, typer.Option(help="Such as night or curve (default: mixed as in CULane).")] = None
    layout: Annotated[str, typer.Option(help="folder, culane or tusimple")] = "folder"
    split: Annotated[str, typer.Option(metavar="NAME", help="Part of the dataset that they are.")] = "test"
    size: Annotated[
        Size | None,
        size_option("In pixels (default: 640x360, culane 1640x922, tusimple 1280x720)."),
    ] = None

    def answer(self) -> Answer:
        from sfcore.cli.scenes import run

        return run(self)
