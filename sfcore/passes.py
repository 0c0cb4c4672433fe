"""What is not computed again and again in forward passes of a network, however often its layers ask for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_known: ContextVar[dict[Hashable, Tensor | None] | None] = ContextVar("known", default=None)


@contextmanager
def forward_passes() -> Iterator[None]:
    """Within the block, in this thread, run forward passes between which no network is changed.

    What they keep is forgotten at its end. A block within another is part of that.
    """
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def kept(key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
    """What ``compute`` gives; within :func:`forward_passes` the second result for a key is kept and given from then on.

    The first is not: most are asked for once, and memory that is not let go of is memory that nothing else can use.
    """
    known = _known.get()
    if known is None:
        return compute()
    if key not in known:
        known[key] = None
        return compute()
    found = known[key]
    if found is None:
        found = known[key] = compute()
    return found
