"""An integer programme: the choices of least total harm within all limits, exactly."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from sfcore.errors import InputError
from sfcore.quant.allocate.base import STRATEGIES, Choices

SECONDS = 10.0  # after which the best that was found is taken
GAP = 1e-3  # of the total harm that the best may be from what is proven to be best

_lock = Lock()  # the standard output is one for all threads


@STRATEGIES.register("milp")
def integer_programme(choices: Choices) -> np.ndarray:
    """min Σ harm·x with one choice a layer, Σ use·x ≤ 1 for each limit and equal bits of tied layers, x in {0, 1};
    by branch and bound (HiGHS, through SciPy)."""
    choices.check()
    count = len(choices.layer)
    one = csr_array((np.ones(count), (choices.layer, np.arange(count))), shape=(choices.layers, count))
    constraints = [LinearConstraint(one, 1, 1), LinearConstraint(choices.use, -np.inf, 1)]
    if choices.tied:
        constraints.append(LinearConstraint(_ties(choices), 0, 0))
    weight = choices.harm / (choices.harm.max() or 1.0)
    with _quiet():
        found = milp(
            weight, integrality=np.ones(count), bounds=Bounds(0, 1), constraints=constraints,
            options={"time_limit": SECONDS, "mip_rel_gap": GAP},
        )  # fmt: skip
    if found.x is None:
        names = ", ".join(dict.fromkeys(limit.name for limit in choices.limits))
        raise InputError(f"no choice of bits keeps {names} at once: give more of one of them, or more candidates")
    return np.flatnonzero(found.x > 0.5)


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
        sys.stdout.flush()
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
