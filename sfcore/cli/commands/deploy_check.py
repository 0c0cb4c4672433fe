"""``sfcore deploy-check``."""

from dataclasses import dataclass
from typing import Annotated

import typer

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import RUN, Images, SomeImages, Weights, WeightsKey
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class DeployCheck(Command):
    """Judge what engines make of a quantized network: their predictions, not their numbers, against full precision."""

    run: Annotated[str, typer.Argument(metavar="RUN|NAME", help=f"{RUN} Or a detector, calibrated here.")]
    images: Images
    engines: Annotated[list[str], typer.Option(metavar="NAME...", help="onnxruntime, openvino; several for several.")]
    limit: SomeImages = 64
    bits: Annotated[str | None, typer.Option(metavar="WxAy", help="Of a detector, such as W8A8-portable-adds.")] = None
    calibration: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Images that a detector is calibrated on, others than --images."),
    ] = None
    dataset: Annotated[
        str | None, typer.Option(metavar="DIR", help="Labelled frames, on which the official metric is counted, too.")
    ] = None
    weights: Weights = None
    weights_key: WeightsKey = None

    def answer(self) -> Answer:
        from sfcore.cli.deploy_check import run

        return run(self)
