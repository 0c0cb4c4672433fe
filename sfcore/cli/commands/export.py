"""``sfcore export``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import RUN, SOURCE, Weights, WeightsKey
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Write what was tuned as files that engines read, with a manifest and a program that runs them."""

    run: Annotated[str, typer.Argument(metavar="RUN|NAME", help=f"{RUN} Or a detector.")]
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets the files.")]
    format: Annotated[
        list[str], typer.Option(metavar="NAME...", help="onnx, onnx-fp32, openvino or encodings; several for several.")
    ]
    opset: Annotated[int, typer.Option(metavar="N", help="Of ONNX; integers of 4 and 16 bits need 21.")] = 21
    batch: Annotated[str, typer.Option(metavar="N|dynamic", help="Images that a file takes at once.")] = "1"
    bits: Annotated[
        str | None, typer.Option(metavar="WxAy", help="Of a detector that is calibrated here, such as W8A8-portable.")
    ] = None
    images: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help=f"To calibrate a detector on. {SOURCE}; again for more.")
    ] = None
    weights: Weights = None
    weights_key: WeightsKey = None

    def answer(self) -> Answer:
        from sfcore.cli.export import run

        return run(self)
