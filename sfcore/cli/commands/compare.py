"""``sfcore compare``."""

from dataclasses import dataclass

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Device, Images, Limit, Run
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Compare a run's quantized models with full precision."""

    run: Run
    images: Images
    limit: Limit = None
    device: Device = "auto"

    def answer(self) -> Answer:
        from sfcore.cli.compare import run

        return run(self)
