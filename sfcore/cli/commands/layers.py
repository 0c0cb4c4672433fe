"""``sfcore layers``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.options import Bits, Detector, Images, SomeImages, Weights, WeightsKey
from sfcore.cli.commands.shared import SharedCommand
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Layers(SharedCommand):
    """Find the layers whose quantization moves the lanes, or what else is found: each one's alone."""

    detector: Detector
    images: Images
    bits: Bits
    weights: Weights = None
    weights_key: WeightsKey = None
    limit: SomeImages = 32
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Gets layers.csv and layers.png, and what workers hand over.")
    ] = None

    def answer(self) -> Answer:
        from sfcore.cli.layers import run

        return run(self)
