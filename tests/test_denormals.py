"""Decayed weights: every thread that computes takes denormal numbers for zero, and no result is another for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from torch import nn

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import Entry, create, entries

SHIPPED = [each for each in entries() if each.weights]
DECAYED = 1e-39
# As a script, what :func:`flushes` asks, of two threads at once.
OF_TWO_THREADS = """
import torch
torch.set_num_threads(2)
import {module}
many = torch.full((1 << 20,), 1e-39) * 1
print(int(many.view(torch.int32).count_nonzero()))
"""


def flushes() -> bool:
    """Whether this thread computes with denormals as with zeros; compared as bits, or the comparison would flush."""
    return not (torch.full((64,), DECAYED) * 1).view(torch.int32).any()


def in_thread(ask: Callable[[], object]) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]


@pytest.fixture
def careless() -> Iterator[None]:
    """This thread is one that was started before anything of the project was imported."""
    torch.set_flush_denormal(False)
    assert not flushes()
    yield
    torch.set_flush_denormal(True)


@pytest.fixture(scope="module")
def tiny() -> Detector:
    return create("scnn-tiny").requires_grad_(False)


def test_the_importing_thread_and_those_that_it_starts_flush():
    assert flushes() and in_thread(flushes)


def test_gradients_are_computed_by_a_thread_that_flushes():
    asked: list[bool] = []
    value = torch.ones(2, requires_grad=True)
    value.register_hook(lambda _: asked.append(flushes()))
    (value * 2).sum().backward()
    assert asked == [True]


@pytest.mark.parametrize("module", ["sfcore.runs.worker", "sfcore.sensitivity.element_map_worker"])
def test_a_process_that_computes_flushes_in_all_of_its_workers(module: str):
    script = OF_TWO_THREADS.format(module=module)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_the_processes_of_a_pool_flush():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(flushes).result()


@pytest.mark.parametrize(
    "use",
    [lambda d: d.preprocess([np.zeros((36, 64, 3), np.uint8)]), lambda d: d(torch.zeros(1, 3, *d.preprocessing.size))],
    ids=["preprocess", "forward"],
)
def test_a_thread_from_before_flushes_once_it_uses_a_detector(
    use: Callable[[Detector], object], tiny: Detector, careless: None
):
    def ask() -> tuple[bool, bool]:
        before = flushes()
        use(tiny)
        return before, flushes()

    assert in_thread(ask) == (False, True)


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda each: each.name)
def test_no_output_of_a_shipped_detector_is_another_for_it(entry: Entry, careless: None):
    detector, spec = create(entry.name), entry.input
    images = spec.normalize(spec.example(2, torch.Generator().manual_seed(0)))
    torch.set_flush_denormal(False)
    plain, flushed = detector.forward(images), detector(images)
    assert all(torch.equal(plain[name], flushed[name]) for name in plain)


def test_weights_next_to_nothing_are_as_good_as_none(tiny: Detector, careless: None):
    decayed = deepcopy(tiny)
    for module in decayed.modules():
        if isinstance(module, nn.Conv2d):
            module.weight[1::2] = module.weight[1::2].sign() * DECAYED
    images = torch.randn(1, 3, *tiny.preprocessing.size, generator=torch.Generator().manual_seed(0))
    plain, flushed = decayed.forward(images), decayed(images)
    for name, value in plain.items():
        torch.testing.assert_close(flushed[name], value, rtol=1e-6, atol=1e-6)
