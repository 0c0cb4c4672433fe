"""What the worker needs of whatever it carries out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from sfcore.runs.folder import RunFolder

Report = Callable[[str, int, int], None]  # phase, done, total; raises Stopped when the run shall stop


class Stopped(Exception):
    """Raised out of a progress report when the run was asked to stop."""


class Tuner(Protocol):
    """A tuning that advances step by step and can be put down and picked up between steps.

    Attributes:
        iteration: steps taken.
        done: whether there is nothing left to do.
    """

    @property
    def iteration(self) -> int: ...

    @property
    def done(self) -> bool: ...

    def step(self) -> Mapping[str, Any]:
        """Take one step; returns what to write down about it, as an event of type "step" unless it names another."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the remaining steps depend on."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on as the tuner whose :meth:`state` this is."""


class Session(Protocol):
    """A run made ready: the tuner, and what to keep of it.

    Attributes:
        notes: what people should know before the first step.
    """

    @property
    def tuner(self) -> Tuner: ...

    @property
    def notes(self) -> Sequence[str]: ...

    def look(self, folder: RunFolder) -> None:
        """Write down what is predicted about one frame by now: before the first step and after each check."""

    def finish(self, folder: RunFolder) -> None:
        """Write the results."""
