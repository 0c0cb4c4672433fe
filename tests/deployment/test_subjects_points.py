"""What reads points leaves with a program that runs it on a sweep."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sfcore.deployment.subjects import of_detector
from sfcore.export.files import export
from sfcore.resources import sample_data


@pytest.mark.slow
def test_a_point_network_and_its_program(tmp_path: Path) -> None:
    export(of_detector("centerpoint-pillar-tiny"), ["onnx-fp32"], tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["run"] == "python run_onnx.py model-fp32.onnx SWEEP"
    sweep = sample_data() / "sweeps" / "01-32-beams.bin"
    done = subprocess.run(
        [sys.executable, "run_onnx.py", "model-fp32.onnx", sweep], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("hm (1, 3, 128, 128)"), done.stderr
