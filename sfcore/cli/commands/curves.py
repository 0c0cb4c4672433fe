"""``sfcore curves``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.options import Detectors, Images, Seed, SomeImages, Weights, WeightsKey
from sfcore.cli.commands.shared import SharedCommand
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class MeasureCurves(SharedCommand):
    """Measure how much distortion noise on each head causes."""

    detector: Detectors
    images: Images
    out: Annotated[str, typer.Option(metavar="DIR", help="Gets curves.csv, curves.json and curves.png.")]
    weights: Weights = None
    weights_key: WeightsKey = None
    limit: SomeImages = 100
    levels: Annotated[int, typer.Option(metavar="N", help="Noise levels.")] = 8
    reruns: Annotated[int, typer.Option(metavar="N", help="Draws of noise per level.")] = 20
    kind: Annotated[str, typer.Option(help="Of noise: gaussian or uniform.")] = "gaussian"
    seed: Seed = 0

    def answer(self) -> Answer:
        from sfcore.cli.curves import run

        return run(self)
