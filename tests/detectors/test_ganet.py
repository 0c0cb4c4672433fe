"""GANet: published keys, decode against hand-made maps and a slow reference, road points, the shipped weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.ganet import GANet, ganet_mid, ganet_small, ganet_tiny
from sfcore.detectors.registry import create
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.training.ganet import GANetObjective
from sfcore.training.scoring import score

# ---------------------------------------------------------------------------------------------- keys and shapes


def published_shapes(blocks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the published CULane models save, written down from their layers and configuration."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int | tuple[int, int], bias: bool = True) -> None:
        size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        shapes[f"{name}.weight"] = (outputs, inputs, *size)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{k}": (channels,) for k in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    conv("backbone.conv1", 64, 3, 7, bias=False)
    norm("backbone.bn1", 64)
    inputs = 64
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), 1):
        for index in range(count):
            block = f"backbone.layer{stage}.{index}"
            conv(f"{block}.conv1", width, inputs, 3, bias=False)
            norm(f"{block}.bn1", width)
            conv(f"{block}.conv2", width, width, 3, bias=False)
            norm(f"{block}.bn2", width)
            if index == 0 and stage > 1:
                conv(f"{block}.downsample.0", width, inputs, 1, bias=False)
                norm(f"{block}.downsample.1", width)
            inputs = width
    for index, channels in enumerate((512, 64)):
        layer = f"neck.trans_head.attn_layers.{index}"
        conv(f"{layer}.pre_conv.conv", 64, channels, 3, bias=False)
        norm(f"{layer}.pre_conv.bn", 64)
        conv(f"{layer}.query_conv", 16, 64, 1)
        conv(f"{layer}.key_conv", 16, 64, 1)
        conv(f"{layer}.value_conv", 64, 64, 1)
        conv(f"{layer}.final_conv.conv", 64, 64, 3, bias=False)
        norm(f"{layer}.final_conv.bn", 64)
        shapes[f"{layer}.gamma"] = (1,)
    for level, (channels, points) in enumerate(zip((128, 256, 64), (7, 5, 3), strict=True)):
        conv(f"neck.lateral_convs.{level}.conv", 64, channels, 1)
        conv(f"neck.fpn_convs.{level}.conv", 64, 64, 3)
        lane = f"neck.def_convs.{level}"
        for index, width in enumerate((64, 256, 256)):
            conv(f"{lane}.cls_convs.{index}.conv", 256, width, 3)
            conv(f"{lane}.reg_convs.{index}.conv", 256, width, 3)
        conv(f"{lane}.reppoints_cls_conv", 64, 256, (1, points), bias=False)
        conv(f"{lane}.reppoints_pts_init_conv", 64, 256, 3)
        conv(f"{lane}.reppoints_pts_init_out", 2 * points, 64, 1)
        conv(f"{lane}.reppoints_pts_refine_conv", 64, 256, (1, points), bias=False)
        conv(f"{lane}.reppoints_pts_refine_out", 2 * points, 64, 1)
    heads = (("centerpts_head.hm", 1), ("keypts_head.hm", 1), ("offset_head.offset_map", 2), ("reg_head.offset_map", 2))
    for head, channels in heads:
        conv(f"bbox_head.{head}.0", 64, 64, 3)
        conv(f"bbox_head.{head}.2", channels, 64, 1)
    return shapes


@pytest.mark.parametrize(("build", "blocks"), [(ganet_small, (2, 2, 2, 2)), (ganet_mid, (3, 4, 6, 3))])
def test_keys_and_shapes_are_the_published_ones(build, blocks: tuple[int, ...]) -> None:
    with torch.device("meta"):
        shapes = published_shapes(blocks)
    assert {k: tuple(v.shape) for k, v in build().state_dict().items()} == shapes


def test_a_published_checkpoint_loads(tmp_path) -> None:
    weights = {k: torch.zeros(s) for k, s in published_shapes((2, 2, 2, 2)).items()}
    weights["bbox_head.keypts_head.hm.2.bias"] += 3
    torch.save({"meta": {"epoch": 1}, "state_dict": weights}, tmp_path / "small.pth")
    with torch.no_grad():
        outputs = create("ganet-small", tmp_path / "small.pth")(torch.zeros(1, 3, 320, 800))
    assert outputs["kpts"].shape == (1, 1, 40, 100) and (outputs["kpts"] == 3).all()


# -------------------------------------------------------------------------------------------------------- decode


def blank(detector: GANet, batch: int = 1) -> Outputs:
    """Outputs that say: nothing here."""
    height, width = (n // 8 for n in detector.preprocessing.size)
    outputs = {name: torch.full((batch, 1, height, width), -9.0) for name in ("cpts", "kpts")}
    return outputs | {name: torch.zeros(batch, 2, height, width) for name in ("offset", "error")}


def draw(outputs: Outputs, columns: Tensor, start: tuple[float, float], top: int = 4) -> None:
    """Put a lane with keypoints at ``columns`` (in cells) of the rows from ``top`` on into the first image."""
    for row, x in enumerate(columns.tolist(), top):
        cell = math.floor(x)
        outputs["kpts"][0, 0, row, cell] = 4.0
        outputs["error"][0, :, row, cell] = torch.tensor([x - cell, 0.5])
        outputs["offset"][0, :, row, cell] = torch.tensor([start[0] - cell, start[1] - row])


def noisy_scenes(detector: GANet, count: int, level: float) -> Outputs:
    """Outputs as a trained network would give them for rendered scenes, with errors of every kind."""
    objective = GANetObjective(detector)
    frame = np.array(detector.frame[::-1]) / (640, 360)
    targets = objective.targets([[line * frame for line in render(900_000 + i).lanes] for i in range(count)])
    generator = torch.Generator().manual_seed(3)

    def noise(like: Tensor, scale: float) -> Tensor:
        return torch.randn(like.shape, generator=generator) * scale

    kpts = torch.logit(targets["kpts"].clamp(0.02, 0.98))
    return {
        "cpts": torch.logit(targets["cpts"].clamp(0.02, 0.98)),
        "kpts": kpts + noise(kpts, 2 * level),
        "offset": targets["offset"] + noise(targets["offset"], 1.5 * level),
        "error": targets["error"] + noise(targets["error"], level),
    }


def slow_groups(outputs: Outputs, detector: GANet) -> list[list[tuple[float, float]]]:
    """The published decoding and grouping of one image, point by point: keypoints (x, y in cells) of each lane."""
    settings = detector.grouping
    heat = outputs["kpts"][0, 0].sigmoid().clamp(1e-4, 1 - 1e-4).tolist()
    offset, error = outputs["offset"][0].tolist(), outputs["error"][0].tolist()
    height, width = len(heat), len(heat[0])

    def kept(x: int, y: int) -> bool:
        return heat[y][x] > settings.keypoint and heat[y][x] == max(heat[y][max(x - 1, 0) : x + 2])

    starts = [(x, y) for x in range(width) for y in range(height) if kept(x, y) and offset[1][y][x] < settings.start]
    groups: list[list[tuple[int, int]]] = []
    for start in starts:
        near = (g for g in groups if any(math.dist(start, member) <= settings.near for member in g))
        group = next(near, None)
        if group is None:
            groups.append([start])
        else:
            group.append(start)
    centres = [tuple(sum(p[i] for p in g) // len(g) for i in range(2)) for g in groups]
    lanes: list[list[tuple[float, float]]] = [[] for _ in centres]
    for y in range(height):
        for x in range(width):
            root = (x + offset[0][y][x], y + offset[1][y][x])
            near = (i for i, c in enumerate(centres) if math.dist(root, c) <= settings.near)
            if kept(x, y) and (index := next(near, None)) is not None:
                lanes[index].append((x + error[0][y][x], y + error[1][y][x], y))
    return [lane for lane in lanes if len(lane) > settings.points]


def slow_decode(outputs: Outputs, detector: GANet) -> list[np.ndarray]:
    """Columns at the detector's rows of each lane that the published grouping finds, in frame pixels."""
    found = []
    for lane in slow_groups(outputs, detector):
        rows = sorted({cell_row for _, _, cell_row in lane})
        members = [[(x, y) for x, y, r in lane if r == row] for row in rows]
        points = np.array([np.mean(m, 0) for m in members])
        points = points[np.argsort(points[:, 1])] * detector.cell.numpy() + detector.corner.numpy()
        x = np.interp(detector.rows.numpy(), points[:, 1], points[:, 0], left=np.nan, right=np.nan)
        found.append(np.where((x >= 0) & (x <= detector.frame[1] - 1), x, np.nan))
    return found


def test_a_drawn_lane_comes_back_where_it_was_drawn() -> None:
    detector = ganet_tiny()
    outputs = blank(detector)
    columns = torch.linspace(25.3, 12.7, 20)
    draw(outputs, columns, start=(12.2, 23.5))
    lanes = detector.decode(outputs)
    assert lanes.present.tolist() == [[True] + [False] * 7]
    y = (np.arange(4, 24) + 0.5) * 8 * (360 - 108) / 256 + 108
    expected = np.interp(detector.rows.numpy(), y, columns.numpy() * 8 * 640 / 384, left=np.nan, right=np.nan)
    np.testing.assert_allclose(lanes.x[0, 0].numpy(), expected, atol=0.01)
    assert lanes.score[0, 0].item() == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-4)


def test_lanes_are_told_apart_by_where_they_start_and_merged_where_starts_agree() -> None:
    detector = ganet_tiny()
    apart, together = blank(detector), blank(detector)
    left, right = torch.linspace(20, 10, 20), torch.linspace(26, 36, 20)
    for outputs, second in ((apart, (36.0, 23.5)), (together, (11.0, 23.5))):
        draw(outputs, left, (10.0, 23.5))
        draw(outputs, right, second)
    assert detector.decode(apart).present.sum() == 2
    assert detector.decode(together).present.sum() == 1


def test_few_points_and_no_points_are_no_lane() -> None:
    detector = ganet_tiny()
    outputs = blank(detector, batch=2)
    draw(outputs, torch.linspace(20, 19, detector.grouping.points), (19.0, 4.0 + detector.grouping.points))
    lanes = detector.decode(outputs)
    assert not lanes.present.any() and lanes.x.shape == (2, 8, len(detector.rows)) and (lanes.score == 0).all()


@pytest.mark.parametrize("build", [ganet_tiny, ganet_small])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_decode_equals_the_published_grouping(build, level: float) -> None:
    detector = build()
    detector.grouping = replace(detector.grouping, starts=4000, groups=4000)  # heavy noise needs more than usual
    outputs = noisy_scenes(detector, 6, level)
    lanes = detector.decode(outputs)
    for image in range(6):
        expected = slow_decode({k: v[image : image + 1] for k, v in outputs.items()}, detector)
        expected = [x for x in expected if (~np.isnan(x)).sum() >= 2]
        found = lanes.x[image][lanes.present[image]].numpy()
        assert len(found) == min(len(expected), 8)
        if len(expected) <= 8:
            np.testing.assert_allclose(found, np.array(expected).reshape(found.shape), atol=0.05)


def test_a_batch_decodes_as_its_images_do_alone() -> None:
    detector = ganet_tiny()
    outputs = noisy_scenes(detector, 8, 0.5)
    together = detector.decode(outputs)
    for image in range(8):
        alone = detector.decode({k: v[image : image + 1] for k, v in outputs.items()})
        torch.testing.assert_close(together[image].x, alone.x, equal_nan=True)
        torch.testing.assert_close(together[image].score, alone.score)


def test_decode_keeps_to_its_inputs_and_bounds_noise() -> None:
    """Pure noise gives at most eight lanes, quickly, and leaves the outputs as they were."""
    detector = ganet_tiny()
    generator = torch.Generator().manual_seed(0)
    outputs = {k: torch.randn(v.shape, generator=generator) * 3 for k, v in blank(detector, 4).items()}
    before = {k: v.clone() for k, v in outputs.items()}
    assert detector.decode(outputs).x.shape[:2] == (4, 8)
    assert all(torch.equal(before[k], outputs[k]) for k in outputs)


# ------------------------------------------------------------------------------------- road points and confidence


def test_road_points_are_pixels_and_follow_the_semantics() -> None:
    detector = ganet_small()
    outputs = blank(detector)
    outputs["kpts"][0, 0, 7, 30] = 2.0
    outputs["error"][0, 0, 7, 30] = 0.25
    outputs = {k: v.requires_grad_() for k, v in outputs.items()}
    points = detector.road_points(outputs)
    assert points.position.shape == points.weight.shape == (1, 4 * 40 * 100)
    seen = points.weight[0].nonzero().flatten()
    expected = [30.25 * 8, 7 * 8 + 135, 30 * 8, 7 * 8 + 135]  # input pixels; 800 → 1640, 270 rows above
    scale = [1640 / 800 * 640 / 1640, 1.0, 1640 / 800 * 640 / 1640, 1.0]
    y = (7 * 8 + 270) * 640 / 1640
    expected = [expected[0] * scale[0], y, expected[2] * scale[2], y]
    torch.testing.assert_close(points.position[0, seen], torch.tensor(expected))
    (points.position * points.weight).sum().backward()
    assert outputs["kpts"].grad is None
    gradient = 8 * 1640 / 800 * 640 / 1640 * torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(outputs["error"].grad[0, 0, 7, 30], gradient)
    assert outputs["offset"].grad.count_nonzero() == 2


def test_confidence_is_that_of_the_keypoints_except_for_the_start_map() -> None:
    detector = ganet_tiny()
    outputs = blank(detector)
    outputs["kpts"][0, 0, 3, 3] = outputs["cpts"][0, 0, 5, 5] = 1.0
    assert all(detector.confidence(outputs, h)[0, 0, 3, 3] > 0.5 for h in ("kpts", "offset", "error"))
    assert detector.confidence(outputs, "cpts")[0, 0, 5, 5] > 0.5 > detector.confidence(outputs, "cpts")[0, 0, 3, 3]


def test_targets_survive_the_decode() -> None:
    """Training targets of rendered scenes decode to the labels that they were made from."""
    detector = ganet_tiny()
    scenes = [render(900_000 + i) for i in range(40)]
    targets = GANetObjective(detector).targets([scene.lanes for scene in scenes])
    outputs = {k: targets[k] for k in ("cpts", "offset", "error")}
    outputs["kpts"] = torch.where(targets["kpts"] == 1, 8.0, -8.0)
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    found = agreement(truth, detector.decode(outputs))
    assert found.f1 > 0.95 and found.shift < 0.5


# -------------------------------------------------------------------------------------------------- shipped weights


def test_the_shipped_weights_find_lanes_in_unseen_scenes() -> None:
    found = score(create("ganet-tiny"), [render(850_000 + i) for i in range(60)])
    assert found.f1 >= 0.90, found  # 0.907 on 400 others


def test_another_threshold_changes_what_is_found() -> None:
    detector = ganet_tiny()
    outputs = blank(detector)
    draw(outputs, torch.linspace(25, 12, 20), (12.0, 23.5))
    outputs["kpts"] -= 4.2  # sigmoid(-0.2) = 0.45
    detector.grouping = replace(detector.grouping, keypoint=0.4)
    assert detector.decode(outputs).present.sum() == 1
    detector.grouping = replace(detector.grouping, keypoint=0.5)
    assert detector.decode(outputs).present.sum() == 0
