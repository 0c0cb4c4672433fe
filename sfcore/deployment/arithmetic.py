"""The same network under equally right arithmetics: other memory layouts, batches, numbers and threads.

Sums of floating-point numbers depend on their order; rounding turns such differences into whole steps. How far two
evaluations of one quantized network differ is the noise that an engine cannot be asked to stay below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.quant.copies import copied
from sfcore.quant.inference import channels_last, in_batches, in_memory_order

Evaluate = Callable[[Tensor], Outputs]  # (B, 3, H, W) to the raw output of each head


def one_by_one(model: Detector) -> Evaluate:
    """As exported files run: an image at a time."""
    return lambda inputs: in_batches(model, inputs.split(1))


def layout(model: Detector) -> Evaluate:
    """Channels last in memory."""
    other = channels_last(copied(model))
    return lambda inputs: in_batches(other, map(in_memory_order, inputs.split(1)))


def batch(model: Detector) -> Evaluate:
    """All images of a batch at once."""
    return lambda inputs: in_batches(model, [inputs])


def float64(model: Detector) -> Evaluate:
    """In double precision."""
    other = copied(model).double()

    def run(inputs: Tensor) -> Outputs:
        return {head: found.float() for head, found in in_batches(other, inputs.double().split(1)).items()}

    return run


def threads(model: Detector) -> Evaluate:
    """With one thread, or with two where there is one otherwise."""
    other = 2 if torch.get_num_threads() == 1 else 1

    def run(inputs: Tensor) -> Outputs:
        with thread_count(other):
            return in_batches(model, inputs.split(1))

    return run


ARITHMETICS: dict[str, Callable[[Detector], Evaluate]] = {
    "layout": layout, "batch": batch, "float64": float64, "threads": threads,
}  # fmt: skip


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Within the block torch computes with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
