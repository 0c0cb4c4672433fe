"""SCNN and RESA: agreement with the published networks and post-process, messages, slots, targets, shipped weights.

The records in ``published/recorded/{scnn,resa}-*.npz`` come from https://github.com/voldemortX/pytorch-auto-drive at
commit 137e63a9e6c3cd2cfeb15e101808478d7b25ddbd, configurations resnet18_culane and resnet34_culane of ``scnn`` and
``resa``: the names and shapes of the tensors of its state, its heads for weights and input by the rule in
``published/rule.py`` (:func:`quiet`), and the lanes that its ``lane_as_segmentation_inference`` makes of
:func:`outputs_by_rule`, as columns at the detector's rows, 0 for none.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.layers import ResNet
from sfcore.detectors.registry import create, entry
from sfcore.detectors.resa import FeatureShift, resa_small, resa_tiny
from sfcore.detectors.scnn import SpatialConv, scnn_small, scnn_tiny
from sfcore.detectors.segmentation import Segmentation, slot_names
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.training.scoring import score
from sfcore.training.segmentation import SegmentationObjective, in_slots
from tests.detectors.published import rule

QUIET = {"scnn_layer": 0.5, "spatial_conv": 0.1}  # messages add up over a hundred slices and would drown all else


def quiet(key: str, value: Tensor) -> Tensor:
    """The rule's value of a tensor, with smaller weights of messages."""
    return value * QUIET.get(key.split(".")[0], 1.0)


def outputs_by_rule(slots: int, height: int, width: int, batch: int = 6) -> Outputs:
    """Roads as ridges that run to one vanishing point, clear in the first image and drowned in noise in the last."""
    random = rule.generator("segmentation decode")
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    foot = np.linspace(-0.4, 1.4, slots) + random.normal(0, 0.05, (batch, slots))
    end, bend = random.uniform([0.4, 0.3], [0.6, 0.6], (batch, 2)), random.normal(0, 0.1, (batch, slots))
    foot, bend, far, top = (each[..., None, None] for each in (foot, bend, end[:, :1], end[:, 1:]))
    rise = (1 - y) / (1 - top)
    line = foot + rise * (far - foot) + bend * rise * (1 - rise)
    ridge = 6 - 4 * np.minimum(((x - line) / 0.012) ** 2, 3)
    maps = np.concatenate([np.zeros((batch, 1, height, width)), np.where(rise < 1, ridge, -6)], 1)
    noise = np.array([0.1, 0.5, 1, 1.5, 2, 3])[:batch, None, None, None]
    exists = 2.5 + 2 * random.standard_normal((batch, slots))
    values = {"segmentation": maps + noise * random.standard_normal(maps.shape), "existence": exists}
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}


def slow_columns(outputs: Outputs, detector: Segmentation) -> Tensor:
    """(B, K, R) as :meth:`decode` gives them, by the published recipe: stretch, blur, look at each row."""
    (height, width), sampling = detector.preprocessing.size, detector.sampling
    maps = functional.interpolate(outputs["segmentation"], (height, width), mode="bilinear", align_corners=True)
    found = torch.full((*outputs["existence"].shape, len(detector.rows)), float("nan"))
    for image, slot in (outputs["existence"] > 0).nonzero().tolist():
        one = maps[image].softmax(0)[slot + 1].numpy()
        one = cv2.blur(one, (sampling.blur, sampling.blur), borderType=cv2.BORDER_REPLICATE)
        for i, row in enumerate(detector.rows.tolist()):
            line = one[detector.input_rows[i]]
            column = int(line.argmax())
            if line[column] > sampling.threshold and column > 0:
                found[image, slot, i] = int(column / width * detector.frame[1])
            assert row == detector.frame[0] - 1 - (len(detector.rows) - 1 - i) * sampling.gap
    return found.masked_fill((~found.isnan()).sum(-1, keepdim=True) < 2, float("nan"))


# --------------------------------------------------------------------------------------- agreement with the published


@pytest.mark.parametrize("name", ["scnn-small", "scnn-mid", "resa-small", "resa-mid"])
def test_heads_are_the_published_ones_for_the_same_weights(name: str, tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / f"{name}.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    keys = record["keys"].tolist()
    weights = {key: quiet(key, rule.values(key, shape)) for key, shape in zip(keys, shapes, strict=True)}
    torch.save({"epoch": 12, "model": weights}, tmp_path / "model.pt")
    detector = create(name, tmp_path / "model.pt")
    with torch.no_grad():
        outputs = detector(rule.images(1, 288, 800))
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=2e-5)
        assert record[head].std() > 0.2  # the record says something


@pytest.mark.parametrize("build", [scnn_small, resa_small])
def test_lanes_are_the_published_ones(build) -> None:
    detector = build()
    name, stride = type(detector).__name__.lower(), detector.heads[0].stride
    published = torch.from_numpy(np.load(rule.RECORDED / f"{name}-small.npz")["lanes"]).float()
    lanes = detector.decode(outputs_by_rule(4, 288 // stride, 800 // stride))
    torch.testing.assert_close(lanes.x.nan_to_num(0), published, atol=0.1, rtol=0)
    assert 5 < (published > 0).any(-1).sum() < 24  # some slots hold a lane and some do not


# -------------------------------------------------------------------------------------------------------- decode


@pytest.mark.parametrize("build", [scnn_tiny, resa_tiny])
def test_lanes_are_those_of_the_whole_stretched_map(build) -> None:
    """The search for the best columns looks at few of them and finds the same, in any noise."""
    detector = build()
    outputs = outputs_by_rule(8, 42, 64)
    lanes = detector.decode(outputs)
    torch.testing.assert_close(lanes.x, slow_columns(outputs, detector), atol=0.1, rtol=0, equal_nan=True)
    torch.testing.assert_close(lanes.score, outputs["existence"].sigmoid())


def ridge(detector: Segmentation, column: int, slot: int = 3, height: float = 8.0) -> Outputs:
    """One clear lane straight up a column of cells, the rest background."""
    (rows, columns), stride = detector.preprocessing.size, detector.heads[0].stride
    slots = len(detector.head("existence").channels)
    maps = torch.zeros(1, slots + 1, rows // stride, columns // stride)
    maps[:, 1:] = -height
    maps[0, slot + 1, :, column] = height
    exists = torch.full((1, slots), -4.0)
    exists[0, slot] = 4.0
    return {"segmentation": maps, "existence": exists}


def test_a_drawn_lane_comes_back_where_it_was_drawn() -> None:
    detector = scnn_tiny()
    lanes = detector.decode(ridge(detector, 21))
    assert lanes.present.tolist() == [[False] * 3 + [True] + [False] * 4]
    # Cell 21 of 0 … 63 lies on pixel 85 of 0 … 255; 640 px of the frame are 256 of the input.
    assert lanes.x[0, 3].tolist() == [int(85 * 640 / 256)] * 42
    assert lanes.rows[[0, -1]].tolist() == [359 - 41 * 6, 359]
    assert lanes.score[0, 3].item() == pytest.approx(1 / (1 + np.exp(-4)))


def test_no_point_is_no_lane_and_neither_is_one_point_nor_a_slot_that_holds_none() -> None:
    detector = scnn_tiny()
    empty = ridge(detector, 21, height=-8.0)
    assert not detector.decode(empty).present.any()
    outputs = ridge(detector, 21)
    outputs["segmentation"][0, 4, :-1] = -8.0  # the lowest row of cells alone: one sampled row
    assert not detector.decode(outputs).valid.any()
    outputs = ridge(detector, 21)
    outputs["existence"][0, 3] = -0.1
    assert not detector.decode(outputs).valid.any()


def test_the_first_column_stands_for_none_as_published() -> None:
    detector = scnn_tiny()
    assert not detector.decode(ridge(detector, 0)).valid.any()
    assert detector.decode(ridge(detector, 63)).valid[0, 3].all()


def test_another_threshold_changes_what_is_found() -> None:
    detector = scnn_tiny()
    outputs = ridge(detector, 21, height=0.2)
    detector.sampling = replace(detector.sampling, threshold=0.1)
    assert detector.decode(outputs).present.sum() == 1
    detector.sampling = replace(detector.sampling, threshold=0.5)
    assert detector.decode(outputs).present.sum() == 0


# ------------------------------------------------------------------------------------- road points and confidence


def test_road_points_are_columns_and_lengths_in_pixels_and_follow_the_map() -> None:
    detector = scnn_small()
    outputs = {name: value.requires_grad_() for name, value in ridge(detector, 40, slot=1).items()}
    points = detector.road_points(outputs)
    assert points.position.shape == points.weight.shape == (1, 4 * 18 + 4)
    unit = 1640 / 640
    columns, weight = points.position[0, :72].view(4, 18), points.weight[0, :72].view(4, 18)
    torch.testing.assert_close(columns[1], torch.full((18,), 40 * 799 / 99 * 1640 / 800 / unit), atol=0.2, rtol=0)
    assert (weight[1] > 0.95).all() and (weight[[0, 2, 3]] == 0).all()
    assert points.position[0, 73].item() == pytest.approx(18 * 20 / unit, rel=1e-3)
    assert points.position[0, 74].item() == pytest.approx(0, abs=0.2)
    (points.position * points.weight).sum().backward()
    assert outputs["existence"].grad is None
    beside = outputs["segmentation"].grad[0, 2, 30, 39:42]
    assert beside[0] < 0 < beside[2]  # more probability on the left moves the point to the left


def test_confidence_is_that_of_a_lane_that_exists() -> None:
    detector = scnn_tiny()
    outputs = ridge(detector, 21)
    confidence = detector.confidence(outputs, "segmentation")
    assert confidence.shape == (1, 1, 42, 64)
    exists = detector.confidence(outputs, "existence")
    assert confidence[0, 0, 20, 21].item() == pytest.approx(exists[0, 3].item(), abs=1e-3)
    assert confidence[0, 0, 20, 30] < 0.01
    outputs["existence"][:] = -9
    assert (detector.confidence(outputs, "segmentation") < 0.01).all()


# ------------------------------------------------------------------------------------------------------ layers


def plain_message(convs: list[torch.nn.Conv2d]) -> None:
    """Weights with which a slice's message is the slice itself."""
    for conv in convs:
        conv.weight.data.zero_()
        conv.weight.data[0, 0, conv.weight.shape[2] // 2, conv.weight.shape[3] // 2] = 1
        if conv.bias is not None:
            conv.bias.data.zero_()


def test_scnn_passes_messages_down_up_right_and_left() -> None:
    layer = SpatialConv(1)
    plain_message([layer.conv_d, layer.conv_u, layer.conv_r, layer.conv_l])
    column = layer(torch.ones(1, 1, 4, 1)).flatten()
    # Down: 1 2 3 4. Up: 3 + 4 = 7, 2 + 7 = 9; the first row is told nothing.
    assert column.tolist() == [1, 9, 7, 4]
    assert layer(torch.ones(1, 1, 1, 4)).flatten().tolist() == [1, 9, 7, 4]
    assert (layer(-torch.ones(1, 1, 4, 4)) == -1).all()  # what is below zero is no message


def test_resa_passes_messages_from_slices_near_and_far() -> None:
    layer = FeatureShift(1, 2)
    plain_message([conv for name, conv in layer.named_modules() if "." in name])
    for name in ("conv_u", "conv_r", "conv_l"):
        for conv in layer.get_submodule(name):
            conv.weight.data.zero_()
    x = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 4, 1)
    # Shift 1: x_i + 2 x_{i+1} = 1 0 0 2. Shift 2: x_i + 2 x_{i+2} = 1 4 2 2.
    assert layer(x).flatten().tolist() == [1, 4, 2, 2]


def test_a_dilated_stage_keeps_its_resolution_and_its_keys() -> None:
    plain, dilated = ResNet((2, 2, 2, 2), (4,) * 4), ResNet((2, 2, 2, 2), (4,) * 4, (1, 1, 2, 4))
    assert plain.state_dict().keys() - dilated.state_dict().keys() == {
        f"layer{n}.0.downsample.{key}"  # needed by a stride alone
        for n in (3, 4)
        for key in (
            "0.weight",
            *(f"1.{k}" for k in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        )
    }
    sizes = [feature.shape[2:] for feature in dilated(torch.zeros(1, 3, 64, 96))]
    assert sizes == [(16, 24), (8, 12), (8, 12), (8, 12)]
    stages = [dilated.get_submodule(f"layer{n}") for n in (2, 3, 4)]
    assert [[block.conv1.dilation[0] for block in stage] for stage in stages] == [[1, 1], [1, 2], [2, 4]]
    assert all(block.conv2.dilation == (1, 1) for stage in stages for block in stage)


# ---------------------------------------------------------------------------------------------- slots and targets


def test_slots_count_from_the_vehicle_outwards_by_where_lanes_meet_the_last_row() -> None:
    frame = (100, 201)
    near_left = np.array([[95.0, 20], [60, 99]])
    far_left = np.array([[90.0, 20], [0, 60]])  # leaves the image: would meet the last row at x < 0
    right = np.array([[180.0, 99], [105, 20]])  # from bottom to top
    crosses = np.array([[99.0, 20], [100.5, 99]])
    assert slot_names(4) == ("left 2", "left 1", "right 1", "right 2")
    placed = in_slots([right, far_left, near_left], 4, frame)
    assert {slot: line[-1, 0] for slot, line in placed.items()} == {0: 0, 1: 60, 2: 180}
    placed = in_slots([right, far_left, near_left, crosses], 2, frame)
    assert {slot: line[-1, 0] for slot, line in placed.items()} == {0: 60, 1: 100.5}
    assert in_slots([], 4, frame) == {}


@pytest.mark.parametrize("build", [scnn_tiny, resa_tiny])
def test_targets_survive_the_decode(build) -> None:
    """Training targets of rendered scenes decode to the labels that they were made from."""
    detector = build()
    scenes = [render(900_000 + i) for i in range(30)]
    targets = SegmentationObjective(detector).targets([scene.lanes for scene in scenes])
    torch.testing.assert_close(targets["segmentation"].sum(1), torch.ones(30, 42, 64))
    outputs = {"segmentation": targets["segmentation"].clamp_min(1e-3).log(), "existence": targets["existence"] - 0.5}
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    found = agreement(truth, detector.decode(outputs))
    # Columns are whole pixels of an input 256 wide, cut down as published: 2.5 px of 640, so 1.25 on average, and blur.
    assert found.f1 > 0.98 and found.shift < 2.5


def test_the_loss_is_least_where_the_outputs_say_what_the_targets_say() -> None:
    detector = scnn_tiny()
    objective = SegmentationObjective(detector)
    targets = objective.targets([render(900_000).lanes])
    outputs = {"segmentation": targets["segmentation"].clamp_min(1e-6).log().requires_grad_()}
    outputs["existence"] = (targets["existence"] * 40 - 20).requires_grad_()
    parts = objective.loss(outputs, targets)
    assert set(parts) == {"segmentation", "existence"}
    sum(parts.values()).backward()
    assert all(value.grad.abs().max() < 1e-6 for value in outputs.values())


# -------------------------------------------------------------------------------------------------- shipped weights


@pytest.mark.parametrize(("name", "least"), [("scnn-tiny", 0.86), ("resa-tiny", 0.87)])
def test_the_shipped_weights_find_lanes_in_unseen_scenes(name: str, least: float) -> None:
    found = score(create(name), [render(850_000 + i) for i in range(60)])
    assert found.f1 >= least, found


@pytest.mark.parametrize("name", ["scnn-tiny", "resa-tiny"])
def test_the_shipped_weights_are_small_and_say_what_they_are(name: str) -> None:
    path = entry(name).shipped
    assert path is not None and path.stat().st_size < 3_000_000
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["detector"] == name
    assert {"input_size", "mean", "std", "order", "seed", "score", "licence"} <= metadata.keys()
