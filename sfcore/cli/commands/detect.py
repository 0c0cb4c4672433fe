"""``sfcore detect``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import SOURCE, Detector, Device, Weights, WeightsKey
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Detect(Command):
    """Find the lanes of images, or what else the detector finds."""

    detector: Detector
    images: Annotated[list[str], typer.Argument(metavar="SOURCE", help=f"{SOURCE}.")]
    weights: Weights = None
    weights_key: WeightsKey = None
    out: Annotated[str | None, typer.Option(metavar="DIR", help="Gets lanes.json and a picture of each image.")] = None
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.detect import run

        return run(self)
