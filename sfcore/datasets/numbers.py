"""Numbers in label files: what is certainly one is read, everything else is refused, so that nothing becomes NaN."""

from __future__ import annotations

import math
import struct
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
    found = certain(items(values))
    if found is not None:
        return found
    return np.array([null if value is None and null is not None else number(value) for value in values], np.float64)


def certain(values: list[Any]) -> np.ndarray | None:
    """(N,) float64 of a list that certainly holds finite numbers alone, all at once, which is much faster.

    None where each must be looked at: among null, texts and lists, and among 0 and 1, which true and false become.
    """
    try:
        found = np.frombuffer(bytearray(struct.pack(f"{len(values)}d", *values)))  # faster than np.array
    except (struct.error, OverflowError):
        return None
    if len(found):
        off = np.abs(found - 0.5)
        if not (off[off.argmin()] > 0.5 and off[off.argmax()] < np.inf):
            return None
    return found


def points(values: Any) -> np.ndarray:
    """(N, 2) float64 of a list of x, y pairs; raises as :func:`numbers`."""
    found = [numbers(value) for value in items(values)]
    if any(len(point) != 2 for point in found):
        raise ValueError("a point must have x and y")
    return np.array(found, np.float64).reshape(-1, 2)
