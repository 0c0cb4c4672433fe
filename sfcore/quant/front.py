"""The front: what each of several budgets buys, measured, with uniform schemes beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from sfcore.errors import InputError
from sfcore.quant.allocation import Allocation, Allocator
from sfcore.quant.budget import Budget
from sfcore.quant.scheme import EDGE_BITS, Scheme
from sfcore.tasks.base import Agreement

Axis = Literal["bops", "size"]
POINTS = 10  # budgets, from what the fewest bits take to what 8 bits do
TOP = 8  # bits, at which there is little left to gain
FEWEST = 4  # bits of the least budget, or the smallest candidate above it: with fewer nothing is found any more

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Point:
    """One point of a front.

    Attributes:
        allocation: the bits and what they come to.
        judged: agreement with full precision on frames that nothing was chosen on.
        uniform: whether all layers have the same bits.
    """

    allocation: Allocation
    judged: Agreement
    uniform: bool = False

    def takes(self, axis: Axis) -> int:
        """What it takes of what is budgeted."""
        return self.allocation.cost.bops if axis == "bops" else self.allocation.size_bytes

    def row(self) -> dict[str, Any]:
        """For tables and JSON."""
        made, agreed = self.allocation, self.judged
        return {
            "scheme": str(made.scheme),
            "uniform": self.uniform,
            "average_weight_bits": made.cost.average_weight_bits,
            "average_activation_bits": made.cost.average_activation_bits,
            "bops": made.cost.bops,
            "size_bytes": made.size_bytes,
            "f1": agreed.f1,
            "distortion": agreed.distortion,
            f"shift_{agreed.unit}": agreed.shift,
        }


def front(
    allocator: Allocator,
    judged_on: Tensor,
    axis: Axis = "bops",
    points: int = POINTS,
    progress: Progress | None = None,
) -> list[Point]:
    """Allocations at budgets at equal ratios, and uniform schemes, each measured.

    Args:
        judged_on: (N, ...) stacked frames that nothing was chosen on.
        axis: what is budgeted.
        points: budgets.
        progress: called with (points done, in all).

    Raises:
        InputError: fewer than 2 points.
    """
    check_points(points)
    uniform = _uniform(allocator)
    schemes = [scheme for budget in _budgets(allocator, axis, points) for scheme in allocator.chosen([budget])]
    schemes += uniform
    found: list[Point] = []
    for scheme, judged, _ in zip(
        schemes, allocator.measure_all(schemes, judged_on), allocator.measure_all(schemes), strict=True
    ):
        found.append(Point(allocator.described(scheme), judged, uniform=len(found) >= points))
        if progress:
            progress(len(found), len(schemes))
    return found


def check_points(points: int) -> None:
    """Refuse budgets that make no front. Raises InputError: they are fewer than 2."""
    if points < 2:
        raise InputError(f"{points} budgets make no front: choose 2 or more, about {POINTS}")


def _uniform(allocator: Allocator) -> list[Scheme]:
    """The same bits for all, at each candidate from the fewest of a front to its top."""
    base = allocator.ranges.base
    widths = [bits for bits in allocator.constraints.candidates if FEWEST <= bits <= TOP]
    return [
        replace(base, weight_bits=bits, activation_bits=bits, rules=())
        for bits in widths or allocator.constraints.candidates
    ]


def _budgets(allocator: Allocator, axis: Axis, points: int) -> Iterator[Budget]:
    """From a little more than the least to what the top takes."""
    profile, base = allocator.ranges.profile, allocator.ranges.base
    candidates = allocator.constraints.candidates
    fewest = min([bits for bits in candidates if bits >= FEWEST] or [candidates[-1]])
    edge = min([bits for bits in candidates if bits >= EDGE_BITS] or [candidates[-1]])
    top = max(fewest + 1, min(TOP, edge))
    ends = [
        replace(base, weight_bits=bits, activation_bits=bits, rules=()) for bits in (fewest, min(top, candidates[-1]))
    ]
    schemes = (*ends, allocator.least)
    if axis == "size":
        low, high, least = (profile.size_bytes(scheme) / 1e6 for scheme in schemes)
    else:
        low, high, least = (profile.cost(scheme).bops / 1e9 for scheme in schemes)
    low = max(low, least)  # more where first and last layers, or those that share bits, may not have so few
    for amount in np.geomspace(low * 1.01, max(high, low * 1.02), points):
        yield Budget(float(amount), "MB" if axis == "size" else "GBOPs")


def in_order(points: Sequence[Point], axis: Axis) -> list[Point]:
    """Points by what they take."""
    return sorted(points, key=lambda each: each.takes(axis))
