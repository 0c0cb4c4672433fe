"""``sfcore tune``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import (
    Address,
    Bits,
    Cores,
    Detach,
    Detector,
    Device,
    Images,
    Limit,
    Seed,
    Transforms,
    Weights,
    WeightsKey,
)
from sfcore.cli.console import Answer

CALIBRATORS = "minmax, maxmin-grid, percentile, entropy, entropy-zeros, aciq, omse or moving-average-omse"


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
    weight_calibrator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"What finds the ranges of weights, of {CALIBRATORS} (omse, or the method's own)."
        ),
    ] = None
    activation_calibrator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What finds those of activations (moving-average-omse, or the method's own)."
        ),
    ] = None
    transforms: Transforms = None
    no_bias_correction: Annotated[
        bool,
        typer.Option(
            "--no-bias-correction",
            help="Never remove the mean error of each layer's output (default: where predictions are less distorted).",
        ),
    ] = False
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
    launcher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What starts it with --detach: local, ray or slurm (default: as before, or local)."
        ),
    ] = None
    address: Address = None
    cores: Cores = 1
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.tune import run

        return run(self)
