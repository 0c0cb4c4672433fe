"""Runs to report on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sfcore.runs import RunFolder
from tests.runs.finished import finished_run


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("runs") / "first", "ganet-tiny").path


@pytest.fixture
def run(tmp_path: Path, _finished: Path) -> RunFolder:
    """A finished run, of this test's own."""
    shutil.copytree(_finished, tmp_path / "runs" / "first")
    return RunFolder.open(tmp_path / "runs" / "first")
