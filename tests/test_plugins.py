"""Detectors from outside the package: the plug-in files, the worked example, and ``sfcore check-detector``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UNET = ROOT / "examples" / "unet.py"
TRAINING = ROOT / "examples" / "unet_training.py"

CARELESS = """
from sfcore.detectors.ganet import ganet_tiny
from sfcore.detectors.registry import register

@register("careless")
def careless():
    detector = ganet_tiny()
    detector.heads = detector.heads[:-1]
    return detector
"""


def sfcore(*words: str, plugins: Path | str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SFCORE_PLUGINS": str(plugins)}
    command = [sys.executable, "-m", "sfcore", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_broken_promise_is_reported_and_the_exit_code_says_so(tmp_path: Path):
    (tmp_path / "careless.py").write_text(CARELESS)
    done = sfcore("check-detector", "careless", "--json", plugins=tmp_path / "careless.py")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert not answer["keeps_all"]
    broken = {one["promise"]: one["problem"] for one in answer["promises"] if not one["kept"]}
    assert "'error'" in broken["the table of heads describes the outputs"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("import nothing_of_this_name", "ModuleNotFoundError"), (None, "is no Python file")],
)
def test_a_plugin_that_cannot_be_imported_is_named(text: str | None, said: str, tmp_path: Path):
    path = tmp_path / "mine.py"
    if text:
        path.write_text(text)
    done = sfcore("detectors", plugins=path)
    assert done.returncode != 0
    assert str(path) in done.stderr and said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_example_keeps_every_promise():
    done = sfcore("check-detector", "unet", "--json", plugins=UNET)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["keeps_all"] and answer["trained"]
    assert answer["lanes_found"] >= 6


@pytest.mark.slow
def test_the_example_is_quantized_like_any_other(tmp_path: Path):
    scenes = str(ROOT / "sample_data" / "scenes")
    words = ["tune", "unet", "--images", scenes, "--limit", "8", "--bits", "W8A8", "--method", "calibrate"]
    done = sfcore(*words, "--out", str(tmp_path / "run"), "--json", plugins=UNET)
    assert done.returncode == 0, done.stderr
    compared = sfcore("compare", str(tmp_path / "run"), "--images", scenes, "--json", plugins=UNET)
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["calibrated"]["f1"] > 0.9


def test_its_training_targets_decode_to_the_labels():
    code = """
import torch
from sfcore.datasets.scenes import render
from sfcore.detectors.registry import entry
from sfcore.tasks.lanes.agreement import agreement
from sfcore.tasks.lanes import sampled
from sfcore.training.objective import objective

detector = entry("unet").build().eval()
scenes = [render(850_000 + i) for i in range(12)]
truth = sampled([s.lanes for s in scenes], detector.rows, detector.frame)
x = objective("unet", detector).targets([s.lanes for s in scenes])["x"]
known = ~x.isnan()
place = -((x[..., None] - detector.columns) / 4).square().nan_to_num()
seen = torch.where(known, 5.0, -5.0)[..., None]
outputs = {"place": place, "visible": seen, "exists": torch.where(known.any(-1), 5.0, -5.0)}
print(agreement(truth, detector.decode(outputs)).f1)
"""
    environment = os.environ | {"SFCORE_PLUGINS": f"{UNET}{os.pathsep}{TRAINING}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.98
