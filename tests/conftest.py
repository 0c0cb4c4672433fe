"""What tests of all parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sfcore.detectors import registry
from sfcore.detectors.base import Detector

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors gain nothing from threads, and results do not depend on the machine's cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real frames and published weights, which is not part of the project."""
    folder = Path(os.environ.get("SFCORE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "lstr" / "LSTR_500000.pkl").is_file():
        pytest.skip(f"no real frames and weights at {folder}: set SFCORE_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def lstr_weights(real_data: Path) -> Path:
    """The published LSTR checkpoint."""
    return real_data / "lstr" / "LSTR_500000.pkl"


@pytest.fixture(scope="session")
def lstr(lstr_weights: Path) -> Detector:
    """LSTR with its published weights; shared, so never change it."""
    return registry.create("lstr-r18s", lstr_weights)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--every-run``: all of what takes minutes, such as every recorded run rather than one of each method."""
    parser.addoption("--every-run", action="store_true", help="repeat all that is recorded, which takes minutes")
