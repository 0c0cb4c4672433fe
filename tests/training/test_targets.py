"""Training: targets worked out by hand, losses, augmentation that keeps lanes on their markings, a short run."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sfcore.detectors.checkpoints import load_weights
from sfcore.detectors.ganet import ganet_tiny
from sfcore.detectors.heat_maps import focal_loss, heat_map
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.training.__main__ import main, take_backbone
from sfcore.training.augment import Augmentation
from sfcore.training.data import render_scenes
from sfcore.training.ganet import BESIDE, GANetObjective, keypoints
from sfcore.training.loop import Recipe
from sfcore.training.objective import objective


def test_keypoints_lie_at_half_rows_and_at_the_exact_ends() -> None:
    line = np.array([[10.0, 6.25], [4.0, 0.25]])  # any order; x = y + 3.75
    found = keypoints(line, 8, 20)
    assert found is not None
    np.testing.assert_allclose(found[:, 1], [0.25, 1.5, 2.5, 3.5, 4.5, 5.5, 6.25])
    np.testing.assert_allclose(found[:, 0], found[:, 1] + 3.75)


def test_a_lane_ends_where_it_leaves_the_map() -> None:
    found = keypoints(np.array([[5.0, -3.0], [15.0, 17.0]]), 8, 8)  # leaves at the right at y = 3, enters from above
    assert found is not None and found[0, 1] == 0 and found[-1, 1] == pytest.approx(3, abs=0.2)
    assert (found[:, 0] < 8).all()
    assert keypoints(np.array([[5.0, 3.1], [15.0, 3.4]]), 8, 8) is None  # one row only
    assert keypoints(np.array([[-9.0, 0.0], [-2.0, 8.0]]), 8, 8) is None


def test_targets_name_cell_error_and_way_to_the_start() -> None:
    detector = ganet_tiny()
    scale, corner = detector.cell.numpy(), detector.corner.numpy()
    line = np.array([[20.3, 30.75], [20.3, 10.25]]) * scale + corner
    targets = GANetObjective(detector).targets([[line], []])
    marked = targets["kpts"][:, 0] == 1
    assert marked[1].sum() == 0 and marked[0].nonzero().tolist() == [[row, 20] for row in range(10, 31)]
    assert targets["cpts"][0, 0, 30, 20] == 1
    assert targets["kpts"][0, 0, 15, 21] == pytest.approx(math.exp(-1 / (2 * (5 / 6) ** 2)))
    torch.testing.assert_close(targets["error"][0, :, 15, 20], torch.tensor([0.3, 0.5]))
    torch.testing.assert_close(targets["offset"][0, :, 15, 20], torch.tensor([0.0, 30.75 - 15.5]))


def test_cells_beside_a_keypoint_name_the_same_place_and_start() -> None:
    detector = ganet_tiny()
    scale, corner = detector.cell.numpy(), detector.corner.numpy()
    lines = [np.array([[x, 30.5], [x, 10.5]]) * scale + corner for x in (1.25, 4.75)]
    targets = GANetObjective(detector).targets([lines])
    columns = torch.arange(7.0)
    assert targets["mask"][0, 0, 20].nonzero().flatten().tolist() == list(range(4 + BESIDE + 1))
    place = columns + targets["error"][0, 0, 20, :7]
    torch.testing.assert_close(place[[0, 1, 2]], torch.full((3,), 1.25))
    torch.testing.assert_close(place[[4, 5, 6]], torch.full((3,), 4.75))
    root = columns + targets["offset"][0, 0, 20, :7]
    torch.testing.assert_close(root[[0, 1, 2]], torch.full((3,), 1.0))  # the start's cell, as published


def test_heat_map_is_the_largest_of_the_gaussians() -> None:
    marks = torch.zeros(1, 1, 9, 9)
    marks[0, 0, 4, 2] = marks[0, 0, 3, 5] = 1
    heat = heat_map(marks, 2)[0, 0]
    for y in range(9):
        for x in range(9):
            near = [(y - r, x - c) for r, c in ((4, 2), (3, 5)) if abs(y - r) <= 2 and abs(x - c) <= 2]
            expected = max((math.exp(-(a * a + b * b) / (2 * (5 / 6) ** 2)) for a, b in near), default=0.0)
            assert heat[y, x].item() == pytest.approx(expected, abs=1e-6)


def test_focal_loss_of_one_cell_by_hand() -> None:
    logits, target = torch.tensor([0.0, 0.0, -50.0]), torch.tensor([1.0, 0.5, 0.0])
    # hit: (1 - .5)² ln .5; near miss: .5² (1 - .5)⁴ ln .5; a sure background costs nothing
    assert focal_loss(logits, target).item() == pytest.approx(-math.log(0.5) * (0.25 + 0.25 / 16))
    assert focal_loss(torch.tensor([60.0, -60.0]), torch.tensor([1.0, 0.0])).item() < 1e-6


def test_the_loss_of_perfect_outputs_is_small_and_counts_only_keypoints() -> None:
    detector = ganet_tiny()
    task = GANetObjective(detector)
    targets = task.targets([[np.array([[100.0, 359.0], [320.0, 180.0]])]])
    outputs = {name: torch.where(targets[name] == 1, 20.0, -20.0) for name in ("kpts", "cpts")}
    outputs |= {name: targets[name] + 7 * (targets["mask"] == 0) for name in ("offset", "error")}
    assert sum(task.loss(outputs, targets).values()) < 1e-3
    assert targets["mask"].sum() > (targets["kpts"] == 1).sum()
    outputs["error"] = outputs["error"] + 0.5
    assert task.loss(outputs, targets)["error"].item() == pytest.approx(1.0)  # weight 2


def test_augmentation_moves_lanes_with_the_image_and_repeats_by_seed() -> None:
    """A bright square stays under the point that marks it, wherever the view moves it."""
    image = np.zeros((100, 200, 3), np.uint8)
    image[58:63, 118:123] = 255
    augment = Augmentation(brightness=0, noise=0, blur=0, contrast=(1, 1), gamma=(1, 1))
    for seed in range(20):
        view, [line] = augment(image, [np.array([[120.0, 60.0], [0.0, 0.0]])], np.random.default_rng(seed))
        x, y = line[0]
        if 3 <= x < 197 and 3 <= y < 97:
            assert view[round(y), round(x)].min() > 200
        again, _ = augment(image, [], np.random.default_rng(seed))
        np.testing.assert_array_equal(view, again)


def test_rendered_training_views_keep_the_geometry_of_the_detector() -> None:
    """Without augmentation, inputs are what the detector's own preprocessing gives and lanes are the labels."""
    from sfcore.datasets.scenes import render

    detector = ganet_tiny()
    still = Augmentation(0, (1, 1), (0, 0), 0, 0, 0, (1, 1), (1, 1), 0, 0, 0)
    inputs, lanes = render_scenes(detector, 1, seed=5).batch(np.array([0]), still, np.random.default_rng(0))
    scene = render(5, size=detector.frame)
    torch.testing.assert_close(inputs, detector.preprocess([scene.image]), atol=0.02, rtol=0)
    for found, label in zip(lanes[0], scene.lanes, strict=True):
        np.testing.assert_allclose(found, label, atol=1e-6)


def test_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(rate=1.0, warmup=0.1)
    rates = [recipe.learning_rate(p) for p in (0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[1] < rates[2] == 1.0 > rates[3] > rates[4] == 0


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"choose one of .*ganet-tiny"):
        objective("nothing", ganet_tiny())


def test_a_backbone_is_taken_from_another_detector_of_the_same_shape(tmp_path) -> None:
    donor, lstr, resa = (entry(name).build() for name in ("ganet-tiny", "lstr-tiny", "resa-tiny"))
    save_file(donor.state_dict(), tmp_path / "donor.safetensors")
    before = {key: value.clone() for key, value in lstr.state_dict().items()}
    take_backbone(lstr, tmp_path / "donor.safetensors")
    torch.testing.assert_close(lstr.layer3[1].conv2.weight, donor.backbone.layer3[1].conv2.weight, rtol=0, atol=0)
    changed = {key.split(".")[0] for key, value in lstr.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"conv1", "layer1", "layer2", "layer3", "layer4"}
    with pytest.raises(InputError, match="has another shape"):
        take_backbone(resa, tmp_path / "donor.safetensors")


def test_two_steps_write_weights_that_load_and_repeat(tmp_path, capsys) -> None:
    states = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.safetensors"
        command = f"ganet-tiny --out {path} --scenes 3 --unseen 2 --steps 2 --batch 2 --seed 4"
        assert main(command.split()) == 0
        assert {"f1", "scenarios"} <= json.loads(capsys.readouterr().out).keys()
        detector = ganet_tiny()
        load_weights(detector, path)
        states.append(detector.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    with safe_open(path, "pt") as file:
        assert file.metadata()["seed"] == "4"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.safetensors", "b.safetensors"]
