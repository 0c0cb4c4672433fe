"""The global positive loss against hand-computed values, and the method that minimises it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from sfcore.detectors import registry
from sfcore.detectors.base import Detector, Outputs
from sfcore.errors import InputError
from sfcore.quant.calibrators import CALIBRATORS, Grid
from sfcore.quant.methods import METHODS
from sfcore.quant.objectives import OBJECTIVES, check_objective
from sfcore.resources import sample_data
from sfcore.runs import RunSpec

CERTAIN = 20.0  # a logit whose sigmoid is 1


@pytest.fixture(scope="module")
def ganet() -> Detector:
    return registry.create("ganet-tiny")


def one_peak(detector: Detector, outputs: Outputs) -> Outputs:
    """Outputs of one image with a sure keypoint and a sure start at the cell (4, 6) and nothing else."""
    found = {name: torch.zeros_like(value[:1]) for name, value in outputs.items()}
    for name in ("kpts", "cpts"):
        found[name].fill_(-CERTAIN)
        found[name][0, 0, 4, 6] = CERTAIN
    return found


@pytest.fixture(scope="module")
def reference(ganet: Detector) -> Outputs:
    return one_peak(ganet, ganet(torch.zeros(1, 3, *ganet.preprocessing.size)))


def test_the_full_precision_network_itself_has_next_to_no_loss(ganet: Detector, reference: Outputs):
    terms = OBJECTIVES["global-positive"](ganet, reference, reference, tuple(reference), 1.0)
    assert terms.total.item() == pytest.approx(0, abs=1e-6)


def test_semantics_count_by_their_absolute_error_at_the_peak_alone(ganet: Detector, reference: Outputs):
    moved = {name: value.clone() for name, value in reference.items()}
    moved["offset"][0, :, 4, 6] += torch.tensor([0.5, -2.0])
    moved["offset"][0, :, 9, 9] += 100
    terms = OBJECTIVES["global-positive"](ganet, moved, reference, ("offset", "error"), 1.0)
    assert terms.semantics["offset"].item() == pytest.approx(2.5)
    assert terms.semantics["error"].item() == 0 and not terms.confidence


def test_a_heat_map_counts_by_focal_loss_with_its_weight(ganet: Detector, reference: Outputs):
    moved = {name: value.clone() for name, value in reference.items()}
    moved["kpts"][0, 0, 4, 6] = 0.0  # a half: -(1 - ½)² log ½
    terms = OBJECTIVES["global-positive"](ganet, moved, reference, ("kpts",), 3.0)
    assert terms.confidence["kpts"].item() == pytest.approx(3 * 0.25 * math.log(2), rel=1e-5)
    moved["kpts"][0, 0, 4, 7] = 0.0  # beside it, where the Gaussian of radius 2 is exp(-1 / (2 (5/6)²))
    beside = (1 - math.exp(-18 / 25)) ** 4 * 0.25 * math.log(2)
    terms = OBJECTIVES["global-positive"](ganet, moved, reference, ("kpts",), 1.0)
    assert terms.confidence["kpts"].item() == pytest.approx(0.25 * math.log(2) + beside, rel=1e-5)


def test_heads_on_another_grid_count_by_their_confidence():
    detector = registry.create("condlanenet-tiny")
    outputs = detector(torch.zeros(1, 3, *detector.preprocessing.size))
    moved = outputs | {"features": outputs["features"] + 0.25}
    terms = OBJECTIVES["global-positive"](detector, moved, outputs, tuple(outputs), 1.0)
    weight = detector.confidence(outputs, "features")
    expected = 0.25 * outputs["features"].shape[1] * weight.sum() / weight.sum().clamp_min(1)
    assert terms.semantics["features"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert terms.semantics["location"].item() == 0


def test_a_detector_without_heat_maps_is_refused_before_anything_is_computed():
    with pytest.raises(InputError, match="LaneATT has none: choose another, such as focus"):
        check_objective("global-positive", registry.create("laneatt-tiny"))
    spec = RunSpec("laneatt-tiny", (str(sample_data() / "scenes"),), "W4A4", "lidar-ptq")
    with pytest.raises(InputError, match="reads heat maps"):
        spec.validate()


def test_a_run_takes_the_calibrators_of_its_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from sfcore.cli import main
    from sfcore.runs import RunFolder

    images = str(sample_data() / "scenes[:3]")
    common = ["--images", images, "--bits", "W4A4", "--method", "lidar-ptq", "--iterations", "1", "--batch", "1"]
    assert main(["tune", "ganet-tiny", *common, "--out", str(tmp_path / "own")]) == 0
    spec = RunFolder(tmp_path / "own").spec
    assert (spec.weight_calibrator, spec.activation_calibrator) == METHODS["lidar-ptq"].calibrators
    assert METHODS["best"].calibrators == ("omse", "moving-average-omse")


def test_counted_zeros_cut_a_sparse_map_to_an_eighth_and_a_grid_search_does_not():
    """A map of which 95 % is empty, as pillars scattered into a bird's eye view."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 40_000, generator=generator).abs()
    values[:, torch.rand(40_000, generator=generator) < 0.95] = 0
    grid, whole = Grid(0, 255), values.max().item()
    kept = {name: CALIBRATORS[name]([values], grid).scale.item() * 255 / whole for name in CALIBRATORS}
    assert kept["entropy-zeros"] == pytest.approx(0.125, abs=0.01)
    assert kept["maxmin-grid"] > 0.5 and kept["entropy"] > 2 * kept["entropy-zeros"]


def test_the_search_near_the_whole_range_never_goes_below_half():
    values = torch.cat([torch.full((1, 999), 0.1), torch.ones(1, 1)], 1)
    grid = Grid(-2, 1)
    assert CALIBRATORS["maxmin-grid"]([values], grid).scale.item() >= 0.5
    assert CALIBRATORS["omse"]([values], grid).scale.item() < 0.5
