"""Forward hooks for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

Hook = Callable[..., Any]


@contextmanager
def hooks(modules: Iterable[nn.Module], before: Hook | None = None, after: Hook | None = None) -> Iterator[None]:
    """Within the block, ``before`` (module, inputs) and ``after`` (module, inputs, output) see every forward."""
    chosen = list(modules)
    handles = [m.register_forward_pre_hook(before) for m in chosen if before]
    handles += [m.register_forward_hook(after) for m in chosen if after]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
