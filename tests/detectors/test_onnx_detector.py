"""A detector from an .onnx file goes through everything: the example for TwinLiteNet+, with a small file made here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from safetensors.torch import save_file

from sfcore.detectors import registry
from sfcore.detectors.base import Head, Outputs, Preprocessing
from sfcore.detectors.onnx_detector import OnnxDetector
from sfcore.detectors.registry import DETECTORS, Entry, create
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.maps import cell_centres, lanes_of_map
from tests.detectors.onnx_files import difference, expected, numbers, saved

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "twinlitenet_plus.py"
node = helper.make_node


def small_maps(path: Path, height: int, width: int) -> Path:
    """Two maps of two channels each; the lane map is where the image is bright."""
    bright = np.zeros((2, 4, 1, 1), np.float32)
    bright[1, 0] = 24.0
    nodes = [
        node(
            "Conv", ["images", "stem.weight", "stem.bias"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], name="/stem/Conv"
        ),
        node("PRelu", ["a", "slope"], ["b"]),
        node("Conv", ["b", "head.weight", "head.bias"], ["c"], name="/head/Conv"),
        node("Conv", ["b", "area.weight"], ["d"], name="/area/Conv"),
        node("Resize", ["c", "", "twice"], ["ll"], mode="linear"),
        node("Resize", ["d", "", "twice"], ["da"], mode="linear"),
    ]
    stem = numbers(4, 3, 3, 3) * 0.1
    stem[0] = 1 / 27
    constants = {
        "stem.weight": stem, "stem.bias": np.zeros(4, np.float32), "slope": numbers(4, 1, 1), "head.weight": bright,
        "head.bias": np.array([0, -12], np.float32), "area.weight": numbers(2, 4, 1, 1),
        "twice": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    return saved(path, nodes, constants, input="images", shape=(1, 3, height, width), outputs=("da", "ll"))


class Maps(OnnxDetector):
    """A lane map and a map of the area, of small images."""

    preprocessing = Preprocessing((32, 64), (0.0,) * 3, (1.0,) * 3)
    heads = (
        Head("lane", "semantics", ("no", "lane"), ("logit",) * 2, "lane", "grid", 1),
        Head("area", "confidence", ("no", "area"), ("logit",) * 2, "area", "grid", 1),
    )
    frame = (32, 64)

    def decode(self, outputs: Outputs) -> Lanes:
        lane = outputs["lane"].softmax(1)[:, 1]
        return lanes_of_map(lane, cell_centres(64, 64), cell_centres(32, 32), self.frame)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return small_maps(tmp_path / "maps.onnx", 32, 64)


def test_it_computes_what_onnxruntime_computes(file: Path) -> None:
    detector = Maps(file, {"area": "da", "lane": "ll"}, input="images").eval()
    images = torch.rand(3, 3, 32, 64)
    with torch.no_grad():
        found, wanted = detector(images), expected(file, images)
    assert list(found) == ["lane", "area"] and not detector.one_by_one
    assert difference(found["lane"], wanted["ll"]) <= 1e-5 and difference(found["area"], wanted["da"]) <= 1e-5
    names = {"stem.weight", "stem.bias", "area.weight", "head_.weight", "head_.bias", "constants.slope"}
    assert detector.state_dict().keys() == names  # a detector has a method called head


def test_its_layers_are_quantized_the_first_and_last_as_such(file: Path) -> None:
    detector = Maps(file, {"lane": "ll", "area": "da"}).eval()
    batches = [torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))]
    model = quantize(detector, Scheme.parse("W8A8"), batches)
    assert not model.full_precision
    assert {type(model.get_submodule(name)).__name__ for name in ("stem", "head_", "area")} == {"QuantConv"}
    with torch.no_grad():
        assert 0 < difference(model(batches[0])["lane"], detector(batches[0])["lane"]) < 0.05


@pytest.mark.parametrize(
    ("outputs", "input", "said"),
    [
        ({"lane": "ll"}, None, r"for the heads lane, and its table of heads has lane, area: name one output for each"),
        ({"lane": "ll", "area": "dad"}, None, r"maps\.onnx has no output dad: its outputs are da, ll"),
        ({"lane": "ll", "area": "da"}, "pixels", r"maps\.onnx has no input pixels: its input is images"),
    ],
)
def test_names_that_do_not_fit_are_refused(outputs: dict[str, str], input: str | None, said: str, file: Path) -> None:
    with pytest.raises(InputError, match=said):
        Maps(file, outputs, input)


@pytest.fixture
def registered(file: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    entry = Entry("maps", lambda: Maps(file, {"lane": "ll", "area": "da"}), None, "these tests", file)
    registry.entries()
    monkeypatch.setitem(DETECTORS._things, "maps", entry)
    monkeypatch.setitem(DETECTORS._owners, "maps", sys.modules[registry.__name__])
    return entry


def test_it_carries_its_weights_and_takes_others(registered: Entry, file: Path, tmp_path: Path) -> None:
    assert registered.shipped == file and registered.score == {}
    detector = create("maps")
    assert not detector.training
    trained = {key: value + 1 for key, value in detector.state_dict().items()}
    save_file(trained, tmp_path / "trained.safetensors")
    other = create("maps", tmp_path / "trained.safetensors")
    assert torch.equal(other.state_dict()["stem.weight"], detector.state_dict()["stem.weight"] + 1)
    assert torch.equal(create("maps", file).state_dict()["stem.weight"], detector.state_dict()["stem.weight"])
    assert registry.fits(tmp_path / "trained.safetensors") == ["maps"]
    with pytest.raises(InputError, match="is no checkpoint of this detector"):
        create("ganet-tiny", file)


def sfcore(*words: object, onnx: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SFCORE_PLUGINS": str(EXAMPLE), "TWINLITENET_PLUS": str(onnx)}
    command = [sys.executable, "-m", "sfcore", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_example_without_its_file_says_what_is_missing(tmp_path: Path) -> None:
    done = sfcore("check-detector", "twinlitenet-plus", onnx=tmp_path / "no.onnx")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"there is no .onnx file {tmp_path / 'no.onnx'}" in done.stderr


@pytest.mark.slow
def test_the_example_keeps_every_promise(tmp_path: Path) -> None:
    file = small_maps(tmp_path / "maps.onnx", 384, 640)
    done = sfcore("check-detector", "twinlitenet-plus", "--json", onnx=file)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["keeps_all"] and answer["trained"] and not answer["full_precision"]


@pytest.mark.slow
def test_a_run_notices_when_the_file_changes(tmp_path: Path) -> None:
    file, scenes = small_maps(tmp_path / "maps.onnx", 384, 640), ROOT / "sample_data" / "scenes"
    words = ("--images", scenes, "--limit", 4)
    run = tmp_path / "run"
    done = sfcore(
        "tune", "twinlitenet-plus", *words, "--bits", "W8A8", "--method", "calibrate", "--out", run, "--json", onnx=file
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["weights_hash"]
    changed = bytearray(file.read_bytes())
    changed[changed.index(numbers(4, 1, 1).tobytes())] ^= 1
    file.write_bytes(changed)
    done = sfcore("compare", run, *words, onnx=file)
    assert done.returncode == 1 and f"{file} has changed since the run" in done.stderr
