"""What a run's events tell: losses, noise levels, selection, progress and time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sfcore.clock import forward
from sfcore.present.figures.runs import Points

Event = Mapping[str, Any]
Facts = Mapping[str, Mapping[str, float]]  # by layer, then by name
RECENT = 60  # steps that the present speed is taken from


@dataclass(frozen=True)
class RunHistory:
    """A run so far.

    Attributes:
        phase: what is being done, in words.
        done, total: progress within the phase.
        seconds_left: of the phase; None while unknown.
        loss: objective of each step.
        held_back: distortion on the held-back images where it was measured, that of the calibrated model first.
        noise: noise level of each head where it was measured.
        selected: (first iteration, last iteration, heads tuned on).
        weights: (iteration, facts by layer) of how weights are rounded, where there are any.
    """

    phase: str = "starting"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    loss: Points = ((), ())
    held_back: Points = ((), ())
    noise: dict[str, Points] = field(default_factory=dict)
    selected: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    weights: list[tuple[int, Facts]] = field(default_factory=list)


def history(found: Sequence[Event]) -> RunHistory:
    """Read a run's events."""
    steps = [e for e in found if e["type"] == "step"]
    latest = next((e for e in reversed(found) if e["type"] in ("progress", "step")), None)
    if latest is None:
        return RunHistory()
    tuning = latest["type"] == "step"
    done, total = (latest["iteration"], latest["iterations"]) if tuning else (latest["done"], latest["total"])
    phase = "tuning" if tuning else latest["phase"]
    heads = sorted({head for e in steps for head in e.get("noise") or {}})
    return RunHistory(
        phase, done, total, _seconds_left(found, phase, done, total),
        _series(steps, "loss"), _held_back(steps),
        {head: _noise(steps, head) for head in heads},
        _stretches(steps),
        [(e["iteration"], e["weights"]) for e in steps if e.get("weights")],
    )  # fmt: skip


def _points(pairs: Sequence[tuple[float, float]]) -> Points:
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _series(steps: Sequence[Event], name: str) -> Points:
    return _points([(e["iteration"], e[name]) for e in steps if e.get(name) is not None])


def _held_back(steps: Sequence[Event]) -> Points:
    """Checks, and before them the calibrated model as iteration 0."""
    first = next((e["calibrated"] for e in steps if e.get("calibrated") is not None), None)
    places, values = _series(steps, "held_back")
    return (places, values) if first is None else ([0, *places], [first, *values])


def _noise(steps: Sequence[Event], head: str) -> Points:
    return _points([(e["iteration"], e["noise"][head]) for e in steps if head in (e.get("noise") or {})])


def _stretches(steps: Sequence[Event]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Merge neighbouring steps with the same selection."""
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for event in steps:
        heads = tuple(event.get("selected") or ())
        if found and found[-1][2] == heads:
            found[-1] = (found[-1][0], event["iteration"], heads)
        else:
            start = found[-1][1] if found else 0
            found.append((start, event["iteration"], heads))
    return [stretch for stretch in found if stretch[2]]


def _seconds_left(found: Sequence[Event], phase: str, done: int, total: int) -> float | None:
    """From the speed of the latest events of the same phase."""
    recent = [
        (e["time"], e["iteration"] if e["type"] == "step" else e["done"])
        for e in forward(found[-RECENT:])
        if e["type"] == "step" or (e["type"] == "progress" and e["phase"] == phase)
    ]
    if len(recent) < 2 or recent[-1][1] <= recent[0][1] or recent[-1][0] <= recent[0][0]:
        return None
    speed = (recent[-1][0] - recent[0][0]) / (recent[-1][1] - recent[0][1])
    return speed * max(total - done, 0)
