"""What was computed before stays, to the last bit: hashes by version of torch and processor, skipped elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.regression import recorded
from tests.regression.recorded import HASHES, METHODS, METRICS, TINY

EXPECTED = json.loads(HASHES.read_text()).get(recorded.place(), {})
RUNS = [(detector, method) for detector in TINY for method in METHODS]
# One run of each method, and of each detector; the whole list takes minutes: --every-run.
USUAL = [(TINY[place % len(TINY)], method) for place, method in enumerate(METHODS)]

pytestmark = pytest.mark.skipif(not EXPECTED, reason=f"nothing is recorded on {recorded.place()}")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.mark.slow
@pytest.mark.parametrize(("detector", "method"), RUNS)
def test_a_run_of_a_few_steps(detector: str, method: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if (detector, method) not in USUAL and not request.config.getoption("--every-run"):
        pytest.skip("only with --every-run")
    found = recorded.tuned(detector, method, tmp_path / "run")
    assert not recorded.differing(found, EXPECTED[f"tune {detector} {method}"])


@pytest.mark.parametrize("detector", TINY)
def test_noise_score_curves(detector: str, tmp_path: Path) -> None:
    assert not recorded.differing(recorded.curves(detector, tmp_path), EXPECTED[f"curves {detector}"])


@pytest.mark.slow
@pytest.mark.parametrize("detector", TINY)
def test_what_each_layer_does(detector: str, tmp_path: Path) -> None:
    assert not recorded.differing(recorded.layers(detector, tmp_path), EXPECTED[f"layers {detector}"])


@pytest.mark.parametrize("name", METRICS)
def test_official_metrics(name: str, datasets: Path) -> None:
    assert not recorded.differing(recorded.metric(name, datasets), EXPECTED[f"metric {name}"])
