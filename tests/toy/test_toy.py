"""Another kind of answer on another kind of input goes through everything, with no file of the project touched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from sfcore.detectors.registry import DETECTORS
from sfcore.inputs.base import InputSpec
from sfcore.quant import Scheme, quantize
from sfcore.registries import import_file
from sfcore.runs import RunFolder
from sfcore.tasks.base import TASKS
from tests.app.conftest import ROOT, errors
from tests.cli.conftest import Command

PLUGIN = Path(__file__).with_name("plugin.py")


@pytest.fixture(scope="module", autouse=True)
def plugin() -> Iterator[None]:
    """The plug-in's task and detector are there for these tests alone."""
    import_file(PLUGIN)
    os.environ["SFCORE_PLUGINS"] = str(PLUGIN)
    yield
    del os.environ["SFCORE_PLUGINS"]
    for registry, name in ((DETECTORS, "mixer"), (TASKS, "mixing")):
        del registry._things[name], registry._owners[name]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve."""
    folder, random = tmp_path_factory.mktemp("recordings"), np.random.default_rng(0)
    for place in range(12):
        tone = np.sin(np.arange(64) * random.uniform(0.1, 1.0)) * random.uniform(0.2, 1.0)
        np.save(folder / f"{place:02d}.npy", (tone + random.normal(0, 0.05, 64)).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mixer.safetensors"
    save_file(DETECTORS["mixer"].build().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def tuned(recordings: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of selective-focus, as the command makes it."""
    from sfcore.cli import main

    out = tmp_path_factory.mktemp("runs") / "mix"
    words = ["tune", "mixer", "--weights", weights, "--images", recordings, "--bits", "W4A4", "--method"]
    options = ["selective-focus", "--set", "iterations=4", "batch=2", "check_every=2", "--out", out]
    assert main([*map(str, words + options)]) == 0
    return RunFolder.open(out)


def test_it_is_quantized(recordings: Path) -> None:
    detector = DETECTORS["mixer"].build().eval()
    spec: InputSpec = detector.preprocessing
    batch = detector.preprocess([spec.read(path) for path in sorted(recordings.iterdir())])
    model = quantize(detector, Scheme.parse("W8A8"), [batch])
    full, quantized = detector.decode(detector(batch)), model.decode(model(batch))
    assert detector.task.agreement(full, quantized).f1 > 0.9
    assert 0 < float(detector.task.distortion(full, quantized).score.mean()) < 1


def test_it_keeps_the_promises_and_is_listed(sfcore_: Command, weights: Path) -> None:
    found = sfcore_.json("check-detector", "mixer", "--weights", weights)
    assert found["keeps_all"], [each for each in found["promises"] if not each["kept"]]
    assert found["instruments_found"] >= 0
    (listed,) = (each for each in sfcore_.json("detectors") if each["name"] == "mixer")
    assert (listed["task"], listed["input"]) == ("mixing", "recording")
    assert {each["task"] for each in sfcore_.json("detectors") if each["name"] != "mixer"} >= {"lanes"}


def test_it_is_detected_measured_and_judged_layer_by_layer(
    sfcore_: Command, recordings: Path, weights: Path, tmp_path: Path
) -> None:
    given = ("--weights", weights)
    found = sfcore_.json("detect", "mixer", recordings, *given, "--out", tmp_path / "found")
    assert len(found["images"]) == 12 and len(found["images"][0]["instruments"]) == 3
    assert (tmp_path / "found" / "instruments.json").is_file()
    words = ("--images", recordings, *given)
    curves = sfcore_.json("curves", "mixer", *words, "--levels", 3, "--reruns", 2, "--out", tmp_path / "curves")
    scores = curves["heads"]["level"]["score"]
    assert scores == sorted(scores) and scores[0] > 0
    saved = json.loads((tmp_path / "curves" / "curves.json").read_text())
    assert set(saved["curves"]["level"]["parts"]) == {"louder", "quieter"}
    assert saved["meta"]["score"] == "Loudness Distortion"
    layers = sfcore_.json("layers", "mixer", *words, "--bits", "W4A4", "--out", tmp_path / "layers")["layers"]
    assert {"louder", "quieter", "shift_db", "f1"} <= set(layers[0])
    assert layers[0]["distortion"] == pytest.approx(layers[0]["louder"] + layers[0]["quieter"])


def test_it_is_tuned_and_compared(sfcore_: Command, tuned: RunFolder, recordings: Path) -> None:
    result = tuned.record()["result"]
    assert set(result) == {"calibrated", "tuned"} and "shift_db" in result["tuned"]
    assert len(json.loads((tuned.path / "instruments.json").read_text())["images"]) == 1
    found = sfcore_.json("compare", tuned.path, "--images", recordings)
    assert found["images"] == 12 and found["tuned"]["distortion"] >= 0
    assert {"name", "average_weight_bits", "average_activation_bits", "bops"} == set(found["scheme"])


@pytest.mark.parametrize("method", ["best", "adaround", "lsq-plus"])
def test_every_kind_of_method_runs(
    sfcore_: Command, recordings: Path, weights: Path, tmp_path: Path, method: str
) -> None:
    words = ("--weights", weights, "--images", recordings, "--bits", "W4A4", "--method", method)
    few = ("--set", "iterations=2", "batch=2", "rendered=0")
    assert sfcore_.json("tune", "mixer", *words, *few, "--out", tmp_path / "run")["status"] == "done"


def test_rendered_scenes_are_refused_for_they_are_images(
    sfcore_: Command, recordings: Path, weights: Path, tmp_path: Path
) -> None:
    words = ("--weights", weights, "--images", recordings, "--bits", "W4A4", "--method", "best")
    assert "rendered scenes are images" in sfcore_.error("tune", "mixer", *words, "--out", tmp_path / "run")
    assert "are images" in sfcore_.error("detect", "mixer", "scenes:3", "--weights", weights)


def test_it_is_benched(sfcore_: Command, recordings: Path, weights: Path, tmp_path: Path) -> None:
    words = ("bench", "--detectors", "mixer", "--methods", "calibrate", "netwise", "--bits", "W4A4", "--seeds", 0)
    data = ("--weights", f"mixer={weights}", "--images", recordings, "--test", f"others={recordings}")
    found = sfcore_.json(*words, *data, "--iterations", 2, "--batch", 2, "--out", tmp_path / "bench")
    assert not found["failed"] and [row["method"] for row in found["rows"]] == ["calibrate", "netwise"]
    assert all(row["shift_px"] is None and row["distortion"] >= 0 for row in found["rows"])


@pytest.fixture
def visit(
    tuned: RunFolder, recordings: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[object]:
    """Opens a page with the detector, its weights and the recordings chosen."""
    monkeypatch.setenv("SFCORE_RUNS", str(tuned.path.parent))
    monkeypatch.setenv("SFCORE_CACHE", str(tmp_path / "cache"))

    def open_page(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=120)
        given = {"detector": "mixer", "weights": str(weights), "images": "Folder", "folder": str(recordings)}
        for name, value in (given | query).items():
            app.query_params[name] = value
        app.run()
        return app if page == "overview" else app.switch_page(f"../pages/{page}.py").run()

    yield open_page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("overview", "Instruments found"), ("heads", "Loudness Distortion"), ("pixels", "Louder"),
        ("curves", "curves"), ("tune", "Instruments of one held-back frame"), ("compare", "the worst of tuned first"),
        ("runs", "mix"),
    ],
)  # fmt: skip
def test_every_page_works_on_it(visit: object, page: str, said: str) -> None:
    app = visit(page, run="mix", c_reruns="2")  # type: ignore[operator]
    assert errors(app) == []
    assert (
        app.main.get("image")
        or app.main.get("plotly_chart")
        or app.main.get("dataframe")
        or app.main.get("arrow_data_frame")
    )
    shown = " ".join([each.label for each in app.metric] + [each.value for each in app.markdown] + [str(app.main)])
    assert said in shown and "lane" not in " ".join(each.label for each in app.metric).lower()
    assert torch.get_num_threads() == 1
