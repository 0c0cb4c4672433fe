"""The examples of published networks in Python keep all promises, quantized too, with any weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import make_smoothing_spline

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import entry
from sfcore.registries import import_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ANY_WEIGHTS = """
import sys, torch
from safetensors.torch import save_file
from sfcore.detectors.registry import entry
torch.manual_seed(0)
save_file(entry(sys.argv[1]).build().state_dict(), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.timeout(15 * 60)  # another process computes with all cores, which others may use
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("twinlitenet_plus_torch.py", "twinlitenet-plus-nano"),
        ("twinlitenet.py", "twinlitenet"),
        ("quantlanenet.py", "quantlanenet"),
    ],
)
def test_a_published_network_keeps_every_promise(file: str, name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "SFCORE_PLUGINS": str(EXAMPLES / file)}
    weights = tmp_path / "any.safetensors"
    asked = {"cwd": EXAMPLES.parent, "env": environment, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-c", ANY_WEIGHTS, name, weights], check=True, **asked)
    command = [sys.executable, "-m", "sfcore", "check-detector", name, "--weights", weights, "--json"]
    found = subprocess.run(command, **asked)
    left = json.loads(found.stdout)["full_precision"].values()
    assert found.returncode == 0 and all(why.startswith("batch norm is not folded") for why in left), found.stdout


@pytest.fixture(scope="module")
def quantlanenet() -> Detector:
    import_file(EXAMPLES / "quantlanenet.py")
    return entry("quantlanenet").build()


def outputs_with(rows: dict[int, float]) -> dict[str, torch.Tensor]:
    """Outputs of QuantLaneNet for one image: its second lane in some rows, at places in cells; nothing else."""
    place, offset = torch.zeros(1, 4, 32, 64), torch.zeros(1, 4, 32, 64)
    visible = torch.full((1, 4, 32, 1), -9.0)
    for row, x in rows.items():
        place[0, 1, row, int(x)], offset[0, 1, row, int(x)], visible[0, 1, row] = 9.0, x % 1, 9.0
    return {"place": place, "visible": visible, "offset": offset}


def test_quantlanenet_draws_the_published_spline_through_the_rows_that_see_a_lane(quantlanenet: Detector) -> None:
    seen = {row: 20 + 0.04 * (row - 10) ** 2 + (row % 3) / 2 for row in (8, 9, 10, 13, 14, 15, 16, 20, 21)}
    lanes = quantlanenet.decode(outputs_with(seen))
    y, x = quantlanenet.rows.double().numpy()[list(seen)], np.array([*seen.values()]) * 20
    spline = make_smoothing_spline(y, x, lam=(1 - 1e-4) / 1e-4)
    whole = range(8, 22)  # those between, too
    expected = spline(quantlanenet.rows.double().numpy()[whole.start : whole.stop])
    assert torch.equal(lanes.x[0, 1].isfinite().nonzero().flatten(), torch.tensor([*whole]))
    np.testing.assert_allclose(lanes.x[0, 1, 8:22], expected, atol=1e-2)
    assert not lanes.x[0, [0, 2, 3]].isfinite().any()


def test_quantlanenet_finds_no_lane_in_a_single_row(quantlanenet: Detector) -> None:
    assert not quantlanenet.decode(outputs_with({12: 30.5})).x.isfinite().any()
