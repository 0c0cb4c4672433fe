"""The example of a network of one's own in Python keeps all promises, quantized too, with any weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "twinlitenet_plus_torch.py"
ANY_WEIGHTS = """
import sys, torch
from safetensors.torch import save_file
from sfcore.detectors.registry import entry
torch.manual_seed(0)
save_file(entry("twinlitenet-plus-nano").build().state_dict(), sys.argv[1])
"""


@pytest.mark.slow
def test_twinlitenet_plus_keeps_every_promise(tmp_path: Path) -> None:
    environment = {**os.environ, "SFCORE_PLUGINS": str(EXAMPLE)}
    weights = tmp_path / "any.safetensors"
    asked = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", ANY_WEIGHTS, weights], check=True, **asked)
    command = [
        sys.executable,
        "-m",
        "sfcore",
        "check-detector",
        "twinlitenet-plus-nano",
        "--weights",
        weights,
        "--json",
    ]
    found = subprocess.run(command, **asked)
    content = json.loads(found.stdout)
    left = content["full_precision"].values()
    assert found.returncode == 0 and all(why.startswith("batch norm is not folded") for why in left), found.stdout
