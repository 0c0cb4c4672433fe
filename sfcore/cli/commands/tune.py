"""``sfcore tune``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import (
    ActivationCalibrator,
    Address,
    Bits,
    Cores,
    Detach,
    DetachedBy,
    Detector,
    Device,
    Images,
    Limit,
    NoBiasCorrection,
    Seed,
    Transforms,
    WeightCalibrator,
    Weights,
    WeightsKey,
)
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Tune(Command):
    """Quantize a detector and tune it; run again to resume."""

    detector: Detector
    images: Images
    bits: Bits
    method: Annotated[str, typer.Option(help="calibrate, netwise, selective-focus, lane-focus, ...")]
    out: Annotated[str, typer.Option(metavar="RUNDIR", help="The run folder.")]
    weights: Weights = None
    weights_key: WeightsKey = None
    limit: Limit = None
    weight_calibrator: WeightCalibrator = None
    activation_calibrator: ActivationCalibrator = None
    transforms: Transforms = None
    no_bias_correction: NoBiasCorrection = False
    k: Annotated[int | None, typer.Option(metavar="N", help="Heads to tune on.")] = None
    lam: Annotated[float | None, typer.Option(metavar="X", help="Weight of the confidence term.")] = None
    iterations: Annotated[int | None, typer.Option(metavar="N", help="Steps of tuning.")] = None
    batch: Annotated[int | None, typer.Option(metavar="N", help="Images per iteration.")] = None
    learning_rate: Annotated[float | None, typer.Option(metavar="X", help="Of Adam.")] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE...",
            help="Any other options of the method, such as rounding=0.05 selection=exact.",
        ),
    ] = None
    seed: Seed = 0
    detach: Detach = False
    launcher: DetachedBy = None
    address: Address = None
    cores: Cores = 1
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.tune import run

        return run(self)
