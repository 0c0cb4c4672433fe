"""``sfcore check-detector``."""

from dataclasses import dataclass

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Detector, Device, Weights, WeightsKey
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class CheckDetector(Command):
    """Check that a detector, your own too, keeps the promises that all commands and pages rely on."""

    detector: Detector
    weights: Weights = None
    weights_key: WeightsKey = None
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.check_detector import run

        return run(self)
