"""Visiting the app without a browser."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.session import first_detector
from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.registry import create
from sfcore.quant import Scheme, quantize
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds for a script run on a busy machine

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
    scenes = sample_data() / "scenes"
    name = first_detector()
    spec = RunSpec(name, (str(scenes),), "W4A4", "selective-focus", options={"k": 2, "lam": 5.0}, limit=2)
    run = RunFolder.create(tmp_path_factory.mktemp("runs") / "first", spec)
    detector = create(name)
    batch = detector.preprocess(read_images(find_images([scenes], 2)))
    for file, corrected in (("calibrated", False), ("model", True)):  # bias correction stands in for tuning
        model = quantize(detector, Scheme.parse(spec.scheme), [batch], bias_correction=corrected)
        run.save_tensors(file, model.state_dict())
    for i in range(1, 31):
        noise = {head.name: 1 / i for head in detector.heads}
        heads = [detector.heads[0].name]
        run.append({"type": "step", "iteration": i, "iterations": 30, "loss": 1 / i, "noise": noise, "selected": heads})
    result = {model: {"f1": 0.5, "distortion": 3.0} for model in ("calibrated", "tuned")}
    run.update(status="done", started=0.0, ended=90.0, worked=90.0, result=result)
    return run.path


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
