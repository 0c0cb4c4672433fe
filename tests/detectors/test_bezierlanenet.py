"""BézierLaneNet: agreement with the published network and post-process, decode, road points, the shipped weights.

The records in ``published/recorded/bezierlanenet-*.npz`` come from https://github.com/voldemortX/pytorch-auto-drive
at commit 137e63a9e6c3cd2cfeb15e101808478d7b25ddbd, configurations resnet18 and resnet34_culane_aug1b: the names and
shapes of the tensors of its state, its heads for weights and input by the rule in ``published/rule.py``, and the
lanes that its ``inference`` (of the test configuration: 50 points, at most four lanes) makes of
:func:`outputs_by_rule`. mmcv's modulated deformable convolution was replaced by a plain one of gathers.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.bezierlanenet import (
    FeatureFlipFusion,
    Selection,
    bezierlanenet_small,
    bezierlanenet_tiny,
    surest,
)
from sfcore.detectors.registry import create, entry
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.tasks.lanes.rows import off_image_to_nan
from sfcore.training.bezierlanenet import BezierLaneNetObjective, visible
from sfcore.training.objective import Targets
from sfcore.training.scoring import score
from tests.detectors.published import rule


def outputs_by_rule(batch: int, queries: int) -> Outputs:
    """Roads as rows of curves to one vanishing point, unevenly sure; some curves turn back, some leave the image."""
    random = rule.generator("bezierlanenet decode")
    share = np.linspace(0, 1, 4)[:, None]
    near = np.stack([np.linspace(-0.3, 1.3, queries), np.full(queries, 0.98)], -1)
    far = random.uniform([0.4, 0.3], [0.6, 0.5], (batch, 1, 2))
    points = near[None, :, None] + share * (far[:, :, None] - near[None, :, None])
    points = points + random.normal(0, 0.06, (batch, queries, 4, 2))
    logits = np.linspace(-6, 5, batch)[:, None, None] + 4 * random.standard_normal((batch, queries, 1))
    values = {"logits": logits, "curves": points.reshape(batch, queries, 8)}
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}


# --------------------------------------------------------------------------------------- agreement with the published


@pytest.mark.parametrize("size", ["small", "mid"])
def test_heads_are_the_published_ones_for_the_same_weights(size: str, tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / f"bezierlanenet-{size}.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    weights = {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}
    torch.save({"epoch": 36, "model": weights}, tmp_path / "model.pt")
    detector = create(f"bezierlanenet-{size}", tmp_path / "model.pt")
    images = rule.images(1, 288, 800)
    with torch.no_grad():
        outputs = detector(images)
        outputs["segmentation"] = detector.get_submodule("segmentation_head")(detector.backbone(images)[-1])
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=2e-5)
        assert record[head].std() > 0.01  # the record says something


def test_lanes_are_the_published_ones() -> None:
    record = np.load(rule.RECORDED / "bezierlanenet-small.npz")
    detector = bezierlanenet_small()
    lanes = detector.decode(outputs_by_rule(len(record["count"]), 50))
    published = np.split(record["lanes"], np.cumsum(record["count"])[:-1])
    assert lanes.present.sum(1).tolist() == record["count"].tolist() and {1, 4} < set(record["count"])
    lines = Lanes.from_polylines([list(each) for each in published], detector.rows, detector.frame)
    for found, expected in zip(lanes.x, off_image_to_nan(lines).x, strict=True):
        found = found[~found.isnan().all(1)]
        torch.testing.assert_close(found, expected[: len(found)], atol=0.05, rtol=0, equal_nan=True)


# ------------------------------------------------------------------------------------------------- parts of the network


def test_flip_fusion_starts_as_an_ordinary_convolution_of_the_mirrored_features() -> None:
    """Without displacements, and with every point weighted by sigmoid(0)."""
    torch.manual_seed(0)
    fusion, x = FeatureFlipFusion(4).eval(), torch.randn(2, 4, 5, 6)
    for norm in (fusion.proj1[1], fusion.proj2_norm):
        norm.running_mean += 0.1
        norm.running_var *= 2
    kernel, bias = fusion.proj2_conv.weight, fusion.proj2_conv.bias
    mirrored = functional.conv2d(x.flip(-1), kernel / 2, bias, padding=1)
    torch.testing.assert_close(fusion(x), functional.relu(fusion.proj1(x) + fusion.proj2_norm(mirrored)))


def test_the_segmentation_is_there_while_training_alone() -> None:
    detector, images = bezierlanenet_tiny(), torch.zeros(2, 3, 160, 384)
    assert {k: tuple(v.shape) for k, v in detector.train()(images).items()} == {
        "logits": (2, 24, 1), "curves": (2, 24, 8), "segmentation": (2, 1, 10, 24)
    }  # fmt: skip
    assert list(detector.eval()(images)) == ["logits", "curves"]


# -------------------------------------------------------------------------------------------------------------- decode


def outputs_with(curves: dict[int, list[float]], logits: dict[int, float], queries: int = 24) -> Outputs:
    """One image's outputs: these curves and logits at these queries, nothing elsewhere."""
    outputs = {"logits": torch.full((1, queries, 1), -9.0), "curves": torch.full((1, queries, 8), 0.5)}
    for query, curve in curves.items():
        outputs["curves"][0, query] = torch.tensor(curve)
        outputs["logits"][0, query] = logits[query]
    return outputs


def test_a_curve_becomes_the_lane_that_it_describes() -> None:
    """x(t) = (1 + t²) / 4, y(t) = 1 - t, of the part of the frame that the network sees: below row 108."""
    detector = bezierlanenet_tiny()
    curve = [1 / 4, 1.0, 1 / 4, 2 / 3, 1 / 3, 1 / 3, 1 / 2, 0.0]
    lanes = detector.decode(outputs_with({7: curve}, {7: 4.0}))
    assert lanes.present.tolist() == [[True] + [False] * 7]
    t = 1 - (detector.rows - 108) / 252
    torch.testing.assert_close(lanes.x[0, 0], 640 * (1 + t.square()) / 4, atol=0.05, rtol=0)
    assert lanes.score[0, 0].item() == pytest.approx(1 / (1 + math.exp(-4)))


def test_a_lane_ends_with_its_curve_and_with_the_image() -> None:
    """A straight lane at 45° in shares: from (0.6, 0.9) to (1.2, 0.3), beyond the right edge from y = 0.5 on."""
    detector = bezierlanenet_tiny()
    curve = [v for share in (0, 1 / 3, 2 / 3, 1) for v in (0.6 + 0.6 * share, 0.9 - 0.6 * share)]
    lane = detector.decode(outputs_with({3: curve}, {3: 4.0})).x[0, 0]
    rows = detector.rows[~lane.isnan()]
    assert 108 + 252 * 0.5 <= rows[0] < 108 + 252 * 0.5 + 4 and 108 + 252 * 0.9 - 4 < rows[-1] <= 108 + 252 * 0.9


@pytest.mark.parametrize(
    ("sure", "lanes"),
    [
        ({2: 0.9, 4: 0.8, 8: 0.7}, [2, 8]),  # 4 has a surer neighbour
        ({2: 0.9, 4: 0.9, 8: 0.5}, [2]),  # of equals the first; 0.5 is not above 0.5
        ({1: 0.6, 5: 0.7, 9: 0.8, 13: 0.9}, [5, 9, 13]),  # one too many
        ({1: 0.6, 5: 0.6, 9: 0.8, 13: 0.9}, [9, 13]),  # the published pruning drops equals together
        ({}, []),
    ],
)
def test_the_surest_of_their_neighbours_are_lanes(sure: dict[int, float], lanes: list[int]) -> None:
    confidence = torch.zeros(1, 16)
    for query, value in sure.items():
        confidence[0, query] = value
    query, score = surest(confidence, Selection(threshold=0.5, window=5, lanes=3))
    assert query[score > 0].tolist() == lanes
    assert score[score > 0].tolist() == pytest.approx([sure[lane] for lane in lanes])


# ------------------------------------------------------------------------------------- road points and confidence


def test_road_points_are_pixels_and_follow_the_curves() -> None:
    detector = bezierlanenet_small()
    curve = [0.2, 0.9, 0.4, 0.7, 0.5, 0.6, 0.6, 0.5]
    outputs = {k: v.requires_grad_() for k, v in outputs_with({9: curve}, {9: 2.0}, queries=50).items()}
    points = detector.road_points(outputs)
    assert points.position.shape == points.weight.shape == (1, 2 * 50 * 50)
    x, y = points.position.unflatten(1, (2, 50, 50))[0, :, 9]
    scale = 640 / 1640
    torch.testing.assert_close(x[[0, -1]], torch.tensor([0.2, 0.6]) * 640)
    torch.testing.assert_close(y[[0, -1]], torch.tensor([0.9, 0.5]) * 590 * scale)
    seen = points.weight.unflatten(1, (2, 50, 50))[0]
    torch.testing.assert_close(seen[:, 9], torch.full((2, 50), torch.tensor(2.0).sigmoid().item()))
    assert seen.sum() == seen[:, 9].sum()  # curves that are surely none have no points
    x[0].backward()
    assert outputs["logits"].grad is None
    expected = torch.zeros(50, 8)
    expected[9, 0] = 640
    torch.testing.assert_close(outputs["curves"].grad[0], expected)


def test_road_points_outside_the_image_weigh_nothing() -> None:
    detector = bezierlanenet_tiny()
    curve = [v for share in (0, 1 / 3, 2 / 3, 1) for v in (0.5 + share, 0.9 - 0.6 * share)]  # leaves at half its length
    weight = detector.road_points(outputs_with({9: curve}, {9: 2.0})).weight.unflatten(1, (2, 24, 50))[0, :, 9]
    assert (weight[:, :25] > 0.8).all() and (weight[:, 25:] == 0).all()


# -------------------------------------------------------------------------------------------------- shipped weights


def test_the_shipped_weights_find_lanes_in_unseen_scenes() -> None:
    found = score(create("bezierlanenet-tiny"), [render(850_000 + i, size=(360, 640)) for i in range(60)])
    assert found.f1 >= 0.86, found


def test_the_shipped_weights_are_small() -> None:
    path = entry("bezierlanenet-tiny").shipped
    assert path is not None and path.stat().st_size < 3_000_000


# ---------------------------------------------------------------------------------------------------------- training


def test_the_visible_part_of_a_line_runs_upwards_at_even_distances() -> None:
    """From (20, -40) to (100, 120), in any order, seen from (40, 0) to (80, 80) in an image 80 wide and 100 high."""
    part = visible(np.array([[20.0, -40.0], [100.0, 120.0]]), np.array([80, 100]))
    assert part is not None
    np.testing.assert_allclose(part[[0, -1]], [[80, 80], [40, 0]], atol=0.5)
    steps = np.diff(part, axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-6)
    assert visible(np.array([[-5.0, 0.0], [-1.0, 90.0]]), np.array([80, 100])) is None


def as_outputs(targets: Targets, queries: int = 24) -> Outputs:
    """What a network would say that knows the targets: lane k at query 1 + 4k."""
    curves, present = targets["curves"], targets["present"]
    outputs = {
        "logits": torch.full((len(curves), queries, 1), -9.0),
        "curves": torch.full((len(curves), queries, 8), 0.5),
    }
    for slot in range(curves.shape[1]):
        outputs["logits"][:, 1 + 4 * slot, 0] = torch.where(present[:, slot], 9.0, -9.0)
        outputs["curves"][:, 1 + 4 * slot] = curves[:, slot]
    return outputs | {"segmentation": torch.zeros(len(curves), 1, 10, 24)}


def test_targets_survive_the_decode() -> None:
    """Curves fitted to the labels of rendered scenes decode to these labels."""
    detector = bezierlanenet_tiny()
    scenes = [render(900_000 + i, size=detector.frame) for i in range(24)]
    targets = BezierLaneNetObjective(detector).targets([scene.lanes for scene in scenes])
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    found = agreement(truth, detector.decode(as_outputs(targets)))
    assert found.f1 > 0.97 and found.shift < 1.5


def two_lanes() -> list[list[np.ndarray]]:
    """Two straight lanes in the first image, none in the second."""
    return [[np.array([[160.0, 359.0], [320.0, 150.0]]), np.array([[540.0, 340.0], [330.0, 150.0]])], []]


def test_lanes_are_matched_with_near_and_sure_queries() -> None:
    task = BezierLaneNetObjective(bezierlanenet_tiny())
    targets = task.targets(two_lanes())
    outputs = as_outputs(targets)
    outputs["curves"][0, 20], outputs["logits"][0, 20] = targets["curves"][0, 0] + 0.01, 8.0  # as sure, not as near
    outputs["curves"][0, 4], outputs["logits"][0, 4] = targets["curves"][0, 1], 2.0  # as near, less sure than query 5
    found = torch.stack(task.match(outputs, targets), 1)
    assert sorted(found.tolist()) == [[0, 1, 0], [0, 5, 1]]


def test_perfect_outputs_cost_nothing_and_displaced_ones_their_distance() -> None:
    task = BezierLaneNetObjective(bezierlanenet_tiny())
    targets = task.targets(two_lanes())
    outputs = as_outputs(targets)
    parts = task.loss(outputs, targets)
    assert parts["curves"] == 0 and parts["logits"] < 1e-3
    outputs["curves"][0, 5, ::2] += 0.02  # one of two lanes, to the right
    slope = 210 / math.hypot(210, 190)  # of that lane: 210 px to the side and 190 px up
    across, along = 0.02 * 190 / math.hypot(210, 190), 0.02 * slope
    assert task.loss(outputs, targets)["curves"].item() == pytest.approx((across + 0.25 * along) / 2, rel=1e-3)
    outputs["logits"][1] = 0.0  # half of the queries: weight 0.4 · background 0.4 · ln 2
    assert task.loss(outputs, targets)["logits"].item() == pytest.approx(0.08 * math.log(2), abs=1e-3)


def test_images_without_lanes_can_be_learned() -> None:
    task = BezierLaneNetObjective(bezierlanenet_tiny())
    targets = task.targets([[], []])
    assert targets["curves"].shape == (2, 0, 8)
    parts = task.loss(as_outputs(targets), targets)
    assert parts["curves"] == 0 and all(torch.isfinite(part) for part in parts.values())


def test_the_map_of_lanes_marks_where_they_are() -> None:
    """A lane straight up at a quarter of the width, on the lower half of what the network sees."""
    targets = BezierLaneNetObjective(bezierlanenet_tiny()).targets([[np.array([[160.0, 360.0], [160.0, 234.0]])]])
    rows, columns = targets["mask"][0, 0].nonzero().unbind(1)
    assert set(columns.tolist()) <= {23, 24} and rows.min() in (19, 20) and rows.max() == 39
