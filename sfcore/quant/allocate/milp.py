"""An integer programme: the choices of least total harm within all limits, exactly."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from sfcore.errors import InputError
from sfcore.quant.allocate.base import STRATEGIES, Choices

SECONDS = 10.0  # after which the best that was found is taken
GAP = 1e-3  # of the total harm that the best may be from what is proven to be best
FAR = 1e-3  # of the largest harm: a total below it is solved for again without harms above it, which hide what is left

_lock = Lock()  # the standard output is one for all threads


@STRATEGIES.register("milp")
def integer_programme(choices: Choices) -> np.ndarray:
    """min Σ harm·x with one choice a layer, Σ use·x ≤ 1 for each limit and equal bits of tied layers, x in {0, 1};
    by branch and bound (HiGHS, through SciPy)."""
    choices.check()
    most = float(choices.harm.max())
    chosen = _solved(choices, most)
    if chosen is None:
        names = ", ".join(dict.fromkeys(limit.name for limit in choices.limits))
        raise InputError(f"no choice of bits keeps {names} at once: give more of one of them, or more candidates")
    while (total := float(choices.harm[chosen].sum())) < FAR * most:
        most, again = total, _solved(choices, total)
        if again is None or choices.harm[again].sum() >= total:
            break
        chosen = again
    return chosen


def _solved(choices: Choices, most: float) -> np.ndarray | None:
    """The best allocation of choices of no more harm than ``most``, which counts as one: what is much less than one is
    nothing to the solver. None where there is none.

    Raises:
        InputError: time ran out before one was found.
    """
    count = len(choices.layer)
    one = csr_array((np.ones(count), (choices.layer, np.arange(count))), shape=(choices.layers, count))
    constraints = [LinearConstraint(one, 1, 1), LinearConstraint(choices.use, -np.inf, 1)]
    if choices.tied:
        constraints.append(LinearConstraint(_ties(choices), 0, 0))
    known = choices.harm <= most
    with _quiet():
        found = milp(
            np.where(known, choices.harm, 0.0) / (most or 1.0), integrality=np.ones(count), bounds=Bounds(0, known),
            constraints=constraints, options={"time_limit": SECONDS, "mip_rel_gap": GAP},
        )  # fmt: skip
    if found.x is None and found.status == 1:
        raise InputError(f"no choice of bits was found within {SECONDS:g} s: give fewer candidates, or take greedy")
    return None if found.x is None else np.flatnonzero(found.x > 0.5)


def _ties(choices: Choices) -> csr_array:
    """(R, N) rows whose sums over chosen ones are 0 where tied layers have equal bits: one a pair and width."""
    rows, columns, values = list[int](), list[int](), list[float]()
    count = 0
    for first, *others in choices.tied:
        for other in others:
            for bits in sorted(set(choices.activations.tolist())):
                for layer, sign in ((first, 1.0), (other, -1.0)):
                    own = [index for index in choices.of(layer) if choices.activations[index] == bits]
                    rows += [count] * len(own)
                    columns += own
                    values += [sign] * len(own)
                count += 1
    return csr_array((values, (rows, columns)), shape=(count, len(choices.layer)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block nothing is written to the standard output, where HiGHS leaves lines of its own now and then."""
    with _lock:
        _flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            _flush()
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)


def _flush() -> None:
    """Write what is kept in buffers: Python's, and that of C, which may be written out long after the block."""
    sys.stdout.flush()
    with suppress(AttributeError, OSError, TypeError):  # a system that names its C library otherwise
        ctypes.CDLL(None).fflush(None)
