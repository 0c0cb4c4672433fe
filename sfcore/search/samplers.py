"""What chooses the values of the next trial: one line each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sfcore.errors import InputError

GRID = "grid"  # every combination, which is queued when a search begins, so that nothing is left to choose


def _random(seed: int) -> Any:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed)


def _tpe(seed: int) -> Any:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, constant_liar=True)  # several processes at once do not try the same place


SAMPLERS: dict[str, Callable[[int], Any]] = {GRID: _random, "random": _random, "tpe": _tpe}


def sampler(name: str, seed: int) -> Any:
    """The sampler of Optuna called ``name``. Raises InputError: there is none."""
    if name not in SAMPLERS:
        raise InputError(f"there is no sampler {name!r}: choose one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name](seed)
