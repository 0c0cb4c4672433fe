"""A small detector of convolutions, attention and a matrix product, for the tests of quantization."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.detectors.small import Small


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    detector = Small()
    for norm in (m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
    return detector.eval().requires_grad_(False)


@pytest.fixture
def pixels() -> Tensor:
    """(24, 3, 32, 64) uint8."""
    return torch.randint(0, 256, (24, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
