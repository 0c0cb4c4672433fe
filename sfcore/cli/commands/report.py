"""``sfcore report``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import RUN, SOURCE
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Write one HTML file about a run, or comparing two, that opens anywhere without a server or a network."""

    run: Annotated[str, typer.Argument(metavar="RUN", help=RUN)]
    run2: Annotated[
        str | None, typer.Argument(metavar="RUN2", help="A second run of the same detector, to compare with.")
    ] = None
    out: Annotated[str, typer.Option(metavar="FILE", help="The report, such as report.html.")]
    images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help=f"{SOURCE} (default: what the first run held back from tuning)."),
    ] = None
    frames: Annotated[int, typer.Option(metavar="N", help="At most N, evenly spread.")] = 20

    engines: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME...", help="Also run the first run's last model in these: onnxruntime, openvino."),
    ] = None

    def answer(self) -> Answer:
        from sfcore.cli.report import run

        return run(self)
