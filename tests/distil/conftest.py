"""A small detector with batch norms, and a cache of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.detectors.small import Small


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are kept."""
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small() -> Small:
    """Four batch norms that remember something; it reads 64 × 32 pixels."""
    torch.manual_seed(0)
    detector = Small()
    for norm in (module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_mean, -0.5, 0.5)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return detector.eval()
