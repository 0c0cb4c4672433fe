"""Commands whose work is shared out among processes, here or on other machines."""

from dataclasses import dataclass

from sfcore.cli.commands.base import Command
from sfcore.cli.commands.options import Address, Cores, Device, Launcher, Workers


@dataclass(frozen=True, kw_only=True)
class SharedCommand(Command):
    """A command that :func:`sfcore.cli.crew.crew_of` finds workers for."""

    launcher: Launcher = "local"
    address: Address = None
    workers: Workers = 1
    cores: Cores = 1
    device: Device = "auto"
