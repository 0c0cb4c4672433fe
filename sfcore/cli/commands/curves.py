"""``sfcore curves``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import (
    Address,
    Cores,
    Detectors,
    Device,
    Images,
    Launcher,
    Seed,
    SomeImages,
    Weights,
    WeightsKey,
    Workers,
)
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class MeasureCurves(Command):
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
    launcher: Launcher = "local"
    address: Address = None
    workers: Workers = 1
    cores: Cores = 1
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.curves import run

        return run(self)
