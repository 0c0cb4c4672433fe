"""``sfcore distil``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Detector, Device, Seed, Weights, WeightsKey
from sfcore.cli.console import Answer

USUAL = "(default: as of the source distilled:N)"


@dataclass(frozen=True, kw_only=True)
class Distil(Command):
    """Make images from a network's batch norms alone, to calibrate it without data."""

    detector: Detector
    count: Annotated[int, typer.Option(metavar="N", help="How many images.")]
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets the images and distilled.json.")]
    weights: Weights = None
    weights_key: WeightsKey = None
    zeroq: Annotated[bool, typer.Option("--zeroq", help="By ZeroQ, the baseline, instead of DSG.")] = False
    epsilon: Annotated[
        float | None, typer.Option(help=f"Share of noise's channels that are let be, 0 to 1 {USUAL}.")
    ] = None
    spread: Annotated[
        float | None, typer.Option(help=f"How far each image has targets of its own, 0 to 1 {USUAL}.")
    ] = None
    steps: Annotated[int | None, typer.Option(metavar="N", help=f"Of Adam {USUAL}.")] = None
    seed: Seed = 0
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.distil import run

        return run(self)
