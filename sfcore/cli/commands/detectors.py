"""``sfcore detectors``."""

from dataclasses import dataclass

from sfcore.cli.commands.base import Command
from sfcore.cli.console import Answer


@dataclass(frozen=True, kw_only=True)
class Detectors(Command):
    """List the detectors and their heads."""

    def answer(self) -> Answer:
        from sfcore.cli.detectors import run

        return run(self)
