"""Where a visitor's runs may be started: by which launcher, and at which address."""

from __future__ import annotations

from dataclasses import dataclass

from sfcore.errors import InputError
from sfcore.runs import RunFolder
from sfcore.runs.launcher import LAUNCHERS, LOCAL
from sfcore.serving import serving


@dataclass(frozen=True)
class Place:
    """Where a run is started.

    Attributes:
        name: of the launcher.
        address, cores: see :class:`sfcore.runs.launcher.Launcher`.
    """

    name: str = LOCAL
    address: str | None = None
    cores: int = 1

    @classmethod
    def of(cls, run: RunFolder) -> Place:
        """Where a run was started, or would be."""
        record = run.record()
        return cls(run.launcher, record.get("address"), record.get("cores") or 1)

    @property
    def title(self) -> str:
        """What tells it from others that are offered."""
        return f"{self.name} at {self.address}" if self.address else self.name


def offered() -> tuple[Place, ...]:
    """What visitors choose from: in a team what its server offers, at its addresses; else all, at any address."""
    team = serving()
    if team is None:
        return Place(), *(Place(name) for name in LAUNCHERS.names() if name != LOCAL)
    return Place(), *(Place(name, address) for name, address in team.launchers)


def check_offered(place: Place) -> None:
    """Refuse machines that this server does not offer, whoever named them.

    Raises:
        InputError: the launcher is not offered, or not at that address.
    """
    if serving() and (place.name, place.address) not in [(each.name, each.address) for each in offered()]:
        names = " or ".join(each.title for each in offered())
        raise InputError(f"this server starts no runs by {place.title}: choose {names}, or ask who runs it")
