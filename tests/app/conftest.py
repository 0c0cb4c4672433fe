"""Visiting the app without a browser."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.session import first_detector
from sfcore.runs import RunFolder
from tests.runs.finished import finished_run

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds for a script run on a busy machine
BROWSER_PATIENCE = 2 * PATIENCE  # for what a browser waits for, of the app or of processes that it starts

Visit = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """A visit makes the app's script ``__main__``; processes started by later tests would run it as their own."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where the app keeps its runs; its caches are empty too."""
    monkeypatch.setenv("SFCORE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "runs"


@pytest.fixture
def visit(runs_folder: Path) -> Visit:
    """Open a page as a new visitor: ``visit("heads", level="10 %")``; a first visit when nothing is given."""

    def open_page(page: str = "overview", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=PATIENCE)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "overview":
            app.switch_page(f"../pages/{page}.py").run()
        return app

    return open_page


@pytest.fixture(scope="session")
def _quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the first detector on sample scenes, as its worker would leave it."""
    return finished_run(tmp_path_factory.mktemp("runs") / "first", first_detector()).path


@pytest.fixture
def run(runs_folder: Path, _quantized: Path) -> RunFolder:
    """A finished run, of this test's own."""
    shutil.copytree(_quantized, runs_folder / "first")
    return RunFolder.open(runs_folder / "first")


def errors(app: AppTest) -> list[str]:
    """What the page says is wrong, exceptions first."""
    return [e.message for e in app.exception] + [e.value for e in app.error]


def metric(app: AppTest, label: str) -> str:
    """The value of a metric of the page."""
    return next(m.value for m in app.metric if m.label == label)
