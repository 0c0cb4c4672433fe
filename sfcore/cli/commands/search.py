"""``sfcore search``."""

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
class SearchValues(Command):
    """Search for the k, λ, learning rate, bits, ... that distort least; run again to resume."""

    detector: Detector
    images: Images
    method: Annotated[str, typer.Option(help="netwise, selective-focus, lane-focus, ...")]
    over: Annotated[
        list[str],
        typer.Option(
            metavar="OPTION=VALUES...",
            help="What is varied: values such as k=1,2,3 or bits=W4A4,W8A4, or a range such as lam=0.1:10:log.",
        ),
    ]
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Of the search, such as runs/first; its runs are made beside it.")
    ]
    bits: Bits = "W4A4"
    sampler: Annotated[
        str, typer.Option(metavar="NAME", help="What chooses the values: grid (all of them), random or tpe.")
    ] = "tpe"
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="At most so many (default: the whole grid, or 20).")
    ] = None
    to_the_end: Annotated[bool, typer.Option("--to-the-end", help="Stop no trial early, however hopeless it is.")] = (
        False
    )
    jobs: Annotated[int, typer.Option(metavar="N", help="Trials at a time.")] = 1
    weights: Weights = None
    weights_key: WeightsKey = None
    limit: Limit = None
    weight_calibrator: WeightCalibrator = None
    activation_calibrator: ActivationCalibrator = None
    transforms: Transforms = None
    no_bias_correction: NoBiasCorrection = False
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE...", help="Options that all trials share, such as iterations=300."),
    ] = None
    seed: Seed = 0
    detach: Detach = False
    launcher: DetachedBy = None
    address: Address = None
    cores: Cores = 1
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.search import run

        return run(self)
