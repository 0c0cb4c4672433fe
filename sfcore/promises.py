"""What is promised and checked on whatever a user brings: a check raises where its promise does not hold."""

from __future__ import annotations

from torch import Tensor


class Broken(Exception):
    """A promise that does not hold; the message says what was found and what was expected."""


def expect(holds: bool | Tensor, problem: str) -> None:
    """Raise :class:`Broken` with the problem unless it holds."""
    if not holds:
        raise Broken(problem)
