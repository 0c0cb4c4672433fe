"""Numbers in label files: what is certainly one is read, everything else is refused, so that nothing becomes NaN."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np


def number(value: Any) -> float:
    """A finite number, or the text of one as ``1``, ``-2.5``, ``+3`` or ``1e3``.

    Raises:
        ValueError: it is another thing, such as null, true, NaN, ``1,5`` or ``1_000``.
    """
    text = isinstance(value, str) and value.isascii() and "_" not in value  # float reads other digits and 1_000, too
    if text or type(value) in (int, float):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            found = math.nan
        if math.isfinite(found):
            return found
    raise ValueError(f"{value!r} is no number")


def items(value: Any) -> list[Any]:
    """A list as it is; other things, such as null or ``{}``, must not be taken for an empty one: ValueError."""
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")
    return value


def numbers(values: Any, null: float | None = None) -> np.ndarray:
    """(N,) float64 of a list.

    Args:
        null: what null stands for; None where it may not occur.

    Raises:
        ValueError: it is no list, or of other things than numbers; see :func:`number`.
    """
    if set(map(type, items(values))) <= {int, float}:  # most files, and much faster
        with suppress(OverflowError):
            found = np.array(values, np.float64)
            if np.isfinite(found).all():
                return found
    return np.array([null if value is None and null is not None else number(value) for value in values], np.float64)


def points(values: Any) -> np.ndarray:
    """(N, 2) float64 of a list of x, y pairs; raises as :func:`numbers`."""
    found = [numbers(value) for value in items(values)]
    if any(len(point) != 2 for point in found):
        raise ValueError("a point must have x and y")
    return np.array(found, np.float64).reshape(-1, 2)
