"""A detector small enough to work out by hand what noise on each of its heads does."""

from __future__ import annotations

import pytest
import torch

from sfcore.detectors.base import Detector, Outputs
from tests.detectors.small import Posts


@pytest.fixture
def detector() -> Detector:
    return Posts()


@pytest.fixture
def outputs() -> Outputs:
    """Six images with two lanes drawn and one slot not."""
    count = 6
    place = torch.tensor([200.0, 440.0, 320.0]).view(1, 3, 1).repeat(count, 1, 1)
    place += torch.arange(count).view(-1, 1, 1)
    return {
        "logit": torch.tensor([4.0, 2.0, -6.0]).view(1, 3, 1).repeat(count, 1, 1),
        "place": place,
        "idle": torch.ones(count, 2),
    }
