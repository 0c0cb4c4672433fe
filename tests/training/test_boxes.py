"""Training of boxes: targets worked out by hand, labels that move with their image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sfcore.datasets.scenes import render
from sfcore.detectors.centernet import centernet_tiny
from sfcore.training.augment import Augmentation
from sfcore.training.centernet import CenterNetObjective
from sfcore.training.data import render_scenes
from sfcore.training.objects import moved, scaled
from sfcore.training.scoring import score

STILL = Augmentation(0, (1, 1), (0, 0), 0, 0, 0, (1, 1), (1, 1), 0, 0, 0)


def in_cells(detector: torch.nn.Module, *sides: float, label: int = 0) -> np.ndarray:
    """A box from its sides in cells."""
    return np.array([*(np.array(sides) * np.tile(detector.cell.numpy(), 2)), label, 1.0])


def test_targets_name_centre_size_and_what_the_grid_rounds_off() -> None:
    detector = centernet_tiny()
    targets = CenterNetObjective(detector).targets([[in_cells(detector, 10, 20, 30.5, 30, label=1)], []])
    assert (targets["hm"] == 1).nonzero().tolist() == [[0, 1, 25, 20]]
    assert targets["mask"].nonzero().tolist() == [[0, 0, y, x] for y in (24, 25, 26) for x in (19, 20, 21)]
    torch.testing.assert_close(targets["wh"][0, :, 25, 20], torch.tensor([20.5, 10.0]))
    torch.testing.assert_close(targets["reg"][0, :, 25, 20], torch.tensor([0.25, 0.0]))
    torch.testing.assert_close(targets["reg"][0, :, 24, 21], torch.tensor([-0.75, 1.0]))  # to the same centre
    # The radius is the root of corners that both move inwards, (30.5 - √(30.5² - 4·205·0.7)) / 4 = 2.9, cut to 2.
    beside = math.exp(-(2**2) / (2 * (5 / 6) ** 2))
    assert targets["hm"][0, 1, 25, 22].item() == pytest.approx(beside) and targets["hm"][0, 1, 25, 23] == 0


def test_perfect_outputs_decode_to_the_labels_and_cost_little() -> None:
    detector = centernet_tiny()
    boxes = [in_cells(detector, 3, 4, 9, 10), in_cells(detector, 40, 4.5, 49, 20, label=1)]
    task = CenterNetObjective(detector)
    targets = task.targets([boxes])
    outputs = {"hm": torch.where(targets["hm"] == 1, 20.0, -20.0)} | {name: targets[name] for name in ("wh", "reg")}
    found = np.array(sorted(each.tolist() for each in detector.decode(outputs).objects(0)))
    np.testing.assert_allclose(found, np.array(boxes), atol=1e-3)
    assert sum(task.loss(outputs, targets).values()) < 1e-3
    outputs["wh"] = outputs["wh"] + 0.5
    assert task.loss(outputs, targets)["wh"].item() == pytest.approx(0.05)  # weight 0.1


def test_boxes_that_leave_the_image_are_cut_and_those_gone_are_not_taught() -> None:
    detector = centernet_tiny()
    cut, gone = in_cells(detector, -4, 10, 6, 20), in_cells(detector, -8, 10, 2, 20)
    targets = CenterNetObjective(detector).targets([[cut, gone]])
    assert (targets["hm"] == 1).nonzero().tolist() == [[0, 0, 15, 3]]
    torch.testing.assert_close(targets["wh"][0, :, 15, 3], torch.tensor([6.0, 10.0]))


def test_a_centre_is_never_anothers_neighbour() -> None:
    detector = centernet_tiny()
    first, second = in_cells(detector, 8, 8, 12, 12), in_cells(detector, 10, 6, 12, 14)  # at (10, 10) and (11, 10)
    for boxes in ([first, second], [second, first]):
        wh = CenterNetObjective(detector).targets([boxes])["wh"]
        torch.testing.assert_close(wh[0, :, 10, 10], torch.tensor([4.0, 4.0]))
        torch.testing.assert_close(wh[0, :, 10, 11], torch.tensor([2.0, 8.0]))


def test_views_without_augmentation_keep_boxes_where_they_are_labelled() -> None:
    detector = centernet_tiny()
    seeds = range(800_000, 800_003)
    _, objects = render_scenes(detector, 3, seeds[0]).batch(np.arange(3), STILL, np.random.default_rng(0))
    for found, seed in zip(objects, seeds, strict=True):
        np.testing.assert_allclose(found, render(seed).objects["boxes2d"], atol=1e-6)


def test_a_mirrored_box_stays_around_its_pixels() -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:30, 10:25] = 200
    mirror = Augmentation(1, (1, 1), (0, 0), 0, 0, 0, (1, 1), (1, 1), 0, 0, 0)
    view, [box] = mirror(image, [np.array([10.0, 20, 25, 30, 1, 1])], np.random.default_rng(0))
    assert box.tolist() == [75, 20, 90, 30, 1, 1]
    assert view[20:30, 75:90].min() > 150 and view[:, :74].max() < 50


def test_a_turned_box_holds_its_corners_and_scaling_is_undone() -> None:
    box = np.array([2.0, 4, 6, 10, 0, 1])
    quarter = np.array([[0.0, -1, 0], [1, 0, 0]])  # x, y of pixel centres to -y, x
    [turned] = moved([box], quarter)
    np.testing.assert_allclose(turned[:4], [-9, 2, -3, 6])
    scale, corner = np.array([2.0, 3.0]), np.array([0.5, -4.0])
    [again] = scaled(scaled([box], scale, corner), 1 / scale, -corner / scale)
    np.testing.assert_allclose(again, box)
    [half] = scaled([box], np.array([0.5, 0.5]), np.array([-0.25, -0.25]))  # a picture of half the size
    np.testing.assert_allclose(half[:4], box[:4] / 2)


def test_a_detector_that_finds_nothing_scores_nothing() -> None:
    torch.manual_seed(0)
    found = score(centernet_tiny().eval(), [render(seed) for seed in range(800_000, 800_003)])
    assert found.f1 == 0 and found.ap50 is not None and found.ap50 < 0.02
    assert found.rounded().keys() == {"f1", "shift_px", "ap50"}
