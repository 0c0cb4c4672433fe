"""The seeded rule that gives our networks and the published ones the same weights and inputs, without shipping any.

Every tensor's values follow from its published key and shape alone. Norm weights are small, so that deep residual
networks keep their activations near one and an error of 1e-4 means something.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RECORDED = Path(__file__).parent / "recorded"
SAMPLES = 512  # recorded values of one output


def generator(name: str) -> np.random.Generator:
    """A generator that depends on ``name`` alone."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def values(key: str, shape: tuple[int, ...]) -> Tensor:
    """The values of the tensor saved as ``key``."""
    normal = generator(key).standard_normal(shape)
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.tensor(0)
    if last == "running_var":
        normal = 1 + 0.3 * np.abs(normal)
    elif last == "weight" and len(shape) == 1:
        normal = 0.6 + 0.1 * normal
    elif last == "weight":
        normal = normal * np.sqrt(2 / np.prod(shape[1:]))
    else:
        normal = 0.1 * normal
    return torch.from_numpy(np.asarray(normal, np.float32))


def fill(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dictionary with the keys and shapes of ``state`` and the rule's values."""
    return {key: values(key, tuple(value.shape)) for key, value in state.items()}


def images(count: int, height: int, width: int) -> Tensor:
    """(count, 3, height, width) smooth patterns with some grain, of about unit variance: an input of a network."""
    random = generator(f"images {count} {height} {width}")
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in random.uniform(-4, 4, (count * 3, 3))]
    grain = 0.3 * random.standard_normal((count, 3, height, width))
    return torch.from_numpy((np.reshape(waves, (count, 3, height, width)) + grain).astype(np.float32))


def sample(name: str, output: Tensor) -> np.ndarray:
    """Up to ``SAMPLES`` values of an output, at places that follow from ``name`` and its shape."""
    flat = output.detach().reshape(-1).numpy()
    if len(flat) <= SAMPLES:
        return flat
    return flat[generator(f"{name} {tuple(output.shape)}").choice(len(flat), SAMPLES, replace=False)]
