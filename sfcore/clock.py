"""Time that does not go back, whatever is done to the clock of the machine: that one is set, corrected, or lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_WALL, _STEADY = time.time(), time.monotonic()
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def now() -> float:
    """Seconds since 1970 by the machine's clock when this process began, and what has really passed since then."""
    return _WALL + time.monotonic() - _STEADY


def since_boot() -> tuple[str, float]:
    """Which start of the machine this is, and the seconds since, sleep included; the first is empty where unknown."""
    boot = ""
    with suppress(OSError):
        boot = _BOOT.read_text().strip()
    return boot, time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def forward(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events with times that never go back: where the clock was set back between two, no time has passed."""
    found: list[dict[str, Any]] = []
    for place, event in enumerate(events):
        passed = max(event["time"] - events[place - 1]["time"], 0.0) if place else 0.0
        found.append({**event, "time": found[-1]["time"] + passed if place else event["time"]})
    return found
