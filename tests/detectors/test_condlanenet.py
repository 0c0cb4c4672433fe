"""CondLaneNet: agreement with the published network and post-process, decode, road points, the shipped weights.

The records in ``published/recorded/condlanenet-*.npz`` come from https://github.com/aliyun/conditional-lane-detection
at commit c57b242deea809800d1bb3ec547f12cc357ce95b, configurations culane_small_test and culane_medium_test: the names
and shapes of the tensors of its state; its heads for weights and input by the rule in ``published/rule.py``, with every
cell of the heat map taken for a start, so that its dynamic convolutions and perceptron speak of all; and the lanes
that ``forward_test`` and ``CondLanePostProcessor`` make of :func:`outputs_by_rule`, as x and y in pixels of the input,
the hottest first.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.condlanenet import CondLaneNet, condlanenet_small, condlanenet_tiny
from sfcore.detectors.condlanenet_decode import Picking, pick
from sfcore.detectors.registry import create, entry
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.tasks.lanes.rows import off_image_to_nan
from sfcore.training.condlanenet import CondLaneObjective
from sfcore.training.objective import Targets
from sfcore.training.scoring import score
from tests.detectors.published import rule


def blank(detector: CondLaneNet, batch: int = 1) -> Outputs:
    """Outputs that say: nothing here."""
    (height, width), (rows, columns) = detector.bbox_head.starts, detector.bbox_head.cells
    sizes = {head.name: len(head.channels) for head in detector.heads}
    outputs = {name: torch.zeros(batch, count, height, width) for name, count in sizes.items()}
    outputs["features"] = torch.zeros(batch, sizes["features"], rows, columns)
    return outputs | {"hm": outputs["hm"] - 6, "range": outputs["range"] - 4}


def draw(
    outputs: Outputs, image: int, lane: int, start: tuple[int, int], column: np.ndarray, heat: float = 3.0
) -> None:
    """Give the cell ``start`` (x, y) a lane at ``column`` (in cells) of each row, NaN where it does not exist.

    Feature 2·lane falls off beside the lane's cell, feature 2·lane + 1 is the way to the lane.
    """
    x, y = start
    away = torch.from_numpy(column).float().unsqueeze(-1) - torch.arange(outputs["features"].shape[3])
    outputs["features"][image, 2 * lane] += torch.nan_to_num(-3 * (away - 0.5).abs())
    outputs["features"][image, 2 * lane + 1] += torch.nan_to_num(away)
    outputs["hm"][image, 0, y, x] = heat
    outputs["location"][image, 2 + 2 * lane, y, x] += 1
    outputs["offset"][image, 3 + 2 * lane, y, x] += 1
    outputs["range"][image, :, y, x] += torch.from_numpy(np.where(np.isnan(column), 0.0, 8.0))


def outputs_by_rule(detector: CondLaneNet, level: float = 0.1) -> Outputs:
    """Roads of up to five lanes of different height, with noise on every head."""
    random = rule.generator("condlanenet decode")
    outputs = blank(detector, batch=6)
    for name, value in outputs.items():
        strength = level * {"hm": 5, "offset": 0.1, "range": 10}.get(name, 1)
        value += strength * torch.from_numpy(random.standard_normal(value.shape, np.float32))
    rows = np.arange(40)
    for image in range(6):
        far = random.uniform(40, 60)
        for lane, near in enumerate(np.linspace(8, 92, image) + random.uniform(-4, 4, image)):
            column = far + (near - far) * (rows / 40) ** 1.5
            column[: int(random.integers(5, 25))] = np.nan
            draw(outputs, image, lane, (int(near / 2), 19), column, heat=2 + 0.7 * ((3 * lane) % 5))
    return outputs


def line(detector: CondLaneNet, column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The column in frame pixels at the detector's rows of a lane through ``column`` (cells) at ``rows``."""
    y = rows * detector.cell[1].item() + detector.top
    x = column * detector.cell[0].item()
    return np.interp(detector.rows.numpy(), y, x, left=np.nan, right=np.nan)


# --------------------------------------------------------------------------------------- agreement with the published


@pytest.mark.parametrize("size", ["small", "mid"])
def test_heads_are_the_published_ones_for_the_same_weights(size: str, tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / f"condlanenet-{size}.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    weights = {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}
    assert weights["bbox_head.mlp.layers.0.weight"].shape == (64, 100, 1)  # published: a 1-D convolution
    torch.save({"meta": {"epoch": 16}, "state_dict": weights}, tmp_path / "model.pth")
    detector = create(f"condlanenet-{size}", tmp_path / "model.pth").double()  # no rounding that processors differ in
    with torch.no_grad():
        outputs = detector(rule.images(1, 320, 800).double())
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=1e-4)
        assert record[head].std() > 0.1  # the record says something


def test_lanes_are_the_published_ones() -> None:
    record = np.load(rule.RECORDED / "condlanenet-small.npz")
    detector = condlanenet_small()
    lanes = detector.decode(outputs_by_rule(detector))
    assert lanes.present.sum(1).tolist() == record["count"].tolist() and {0, 5} <= set(record["count"])
    points = record["points"] * (1640 / 800, 1) + (0, 270)
    published = iter(np.split(points, np.cumsum(record["length"])[:-1]))
    lines = [[next(published) for _ in range(count)] for count in record["count"]]
    expected = off_image_to_nan(Lanes.from_polylines(lines, detector.rows, detector.frame))
    for found, lane in zip(lanes.x[lanes.present], expected.x[expected.present], strict=True):
        torch.testing.assert_close(found, lane, atol=0.05, rtol=0, equal_nan=True)


# -------------------------------------------------------------------------------------------------------------- decode


def test_a_drawn_lane_comes_back_one_row_longer_at_either_end() -> None:
    detector = condlanenet_tiny()
    outputs, rows = blank(detector), np.arange(28)
    column = np.linspace(30.3, 8.7, 28)
    draw(outputs, 0, 0, (4, 12), column)
    outputs["range"][0, :6, 12, 4] = outputs["range"][0, 25:, 12, 4] = -4.0
    lanes = detector.decode(outputs)
    assert lanes.present.tolist() == [[True] + [False] * 7]
    np.testing.assert_allclose(lanes.x[0, 0].numpy(), line(detector, column[5:26], rows[5:26]), atol=0.02)
    assert lanes.score[0, 0].item() == pytest.approx(1 / (1 + math.exp(-3)), abs=1e-4)
    outputs["shift"] += 0.5
    moved = detector.decode(outputs).x[0, 0] - lanes.x[0, 0]
    assert moved[~moved.isnan()].tolist() == pytest.approx([0.5 * detector.cell[0].item()] * 45, abs=1e-3)


def test_the_offset_makes_up_for_a_location_that_is_a_cell_off() -> None:
    detector = condlanenet_tiny()
    outputs = blank(detector)
    draw(outputs, 0, 0, (4, 12), np.linspace(30.3, 8.7, 28))
    expected = detector.decode(outputs).x
    outputs["features"][:, 0] = outputs["features"][:, 0].roll(1, -1)
    torch.testing.assert_close(detector.decode(outputs).x[..., 2:], expected[..., 2:], atol=0.1, rtol=0, equal_nan=True)


def test_a_lane_that_exists_nowhere_and_a_faint_start_are_no_lanes() -> None:
    detector = condlanenet_tiny()
    outputs = blank(detector)
    draw(outputs, 0, 0, (4, 12), np.full(28, np.nan))
    draw(outputs, 0, 1, (15, 12), np.linspace(30, 30, 28), heat=-0.1)
    lanes = detector.decode(outputs)
    assert not lanes.present.any() and lanes.x.shape == (1, 8, len(detector.rows))


@pytest.mark.parametrize(
    ("near", "kept"),
    [(1.0, {(2, 3): 0.9, (4, 3): 0.8, (6, 4): 0.7}), (2.0, {(4, 3): 0.8, (6, 4): 0.7}), (2.5, {(6, 4): 0.7})],
)
def test_of_peaks_in_a_chain_the_last_in_reading_order_stays(near: float, kept: dict) -> None:
    """As in the published code, which means to keep the hottest."""
    heat = torch.full((1, 1, 8, 10), -5.0)
    for (x, y), value in {(2, 3): 0.9, (4, 3): 0.8, (6, 4): 0.7}.items():
        heat[0, 0, y, x] = math.log(value / (1 - value))
    heat[0, 0, 2, 2] = 0.1  # beside a hotter one: no peak
    picked = pick(heat, Picking(near=near))
    found = [(c % 10, c // 10) for c in picked.cells[0, : len(picked.slot)].tolist()]
    assert dict(zip(found, picked.score[0].tolist(), strict=False)) == {k: pytest.approx(v) for k, v in kept.items()}


def test_of_too_many_lanes_the_hottest_stay() -> None:
    heat = torch.linspace(1, 2, 9).expand(1, 1, 1, 9).repeat_interleave(2, -1).clone()
    heat[..., ::2] = -5
    picked = pick(heat, Picking(near=1.0))
    assert picked.cells.tolist() == [[17, 15, 13, 11, 9, 7, 5, 3]]


# ------------------------------------------------------------------------------------- road points and confidence


def test_road_points_are_the_drawn_lane_in_pixels() -> None:
    detector = condlanenet_tiny()
    outputs = blank(detector)
    column = np.linspace(30.3, 8.7, 28)
    draw(outputs, 0, 0, (4, 12), column)
    points = detector.road_points(outputs)
    cells = 14 * 22
    assert points.position.shape == points.weight.shape == (1, cells * 29)
    position, weight = (value.view(cells, 29)[12 * 22 + 4] for value in (points.position, points.weight))
    torch.testing.assert_close(position[:28], torch.from_numpy(column).float() * detector.cell[0], atol=0.01, rtol=0)
    exists, heat = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(-3))
    assert position[28].item() == pytest.approx(28 * exists * detector.cell[1].item(), rel=1e-4)  # its height
    assert weight[:28].tolist() == pytest.approx([heat * exists] * 28) and weight[28].item() == pytest.approx(heat)


def test_road_points_follow_all_semantics() -> None:
    detector = condlanenet_tiny()
    outputs = blank(detector)
    draw(outputs, 0, 0, (4, 12), np.linspace(30.3, 8.7, 28))
    outputs["offset"] *= 0.8  # an offset that makes up for all of the location's errors would hide them
    outputs = {name: value.requires_grad_() for name, value in outputs.items()}
    points = detector.road_points(outputs)
    (points.position * points.weight).sum().backward()
    assert outputs["hm"].grad is None
    assert all((outputs[name].grad != 0).any() for name in ("location", "offset", "shift", "features", "range"))
    assert outputs["shift"].grad.count_nonzero() == 1


def test_features_count_where_a_confident_lane_passes() -> None:
    detector = condlanenet_tiny()
    outputs = blank(detector)
    column = np.linspace(30.3, 8.7, 28)
    column[:5] = np.nan
    draw(outputs, 0, 0, (4, 12), column)
    confidence = detector.confidence(outputs, "features")[0, 0]
    assert confidence.shape == (28, 44)
    lane = confidence[np.arange(5, 28), (column[5:] - 0.5).round().astype(int)]
    torch.testing.assert_close(lane, torch.full((23,), 1 / (1 + math.exp(-3)) / (1 + math.exp(-4))))
    assert confidence[5:, 40:].max() < 0.01 and confidence[:5].max() < 0.02
    assert detector.confidence(outputs, "location").argmax() == 12 * 22 + 4


def test_noise_on_each_head_moves_lanes() -> None:
    detector = condlanenet_tiny()
    outputs, random = blank(detector), torch.Generator().manual_seed(0)
    column = np.linspace(30.3, 8.7, 28)
    column[:6] = np.nan
    draw(outputs, 0, 0, (4, 12), column)
    outputs["features"] += 0.1 * torch.randn(outputs["features"].shape, generator=random)
    clean = detector.decode(outputs).x.nan_to_num(-99)
    for head, value in outputs.items():
        noisy = outputs | {head: value + 6 * torch.randn(value.shape, generator=random)}
        assert not torch.equal(detector.decode(noisy).x.nan_to_num(-99), clean), head


# ------------------------------------------------------------------------------------------------------------ training


def perfect(detector: CondLaneNet, targets: Targets) -> Outputs:
    """What a network says that has learned the targets by heart."""
    outputs = blank(detector, len(targets["hm"]))
    cells = torch.arange(outputs["features"].shape[3])
    for image, _, y, x in (targets["hm"] == 1).nonzero().tolist():
        lane = int(targets["lane"][image, y, x])
        column = targets["column"][image, lane]
        exists = targets["range"][image, lane] > 0
        draw(outputs, image, lane, (x, y), torch.where(exists, column, torch.nan).double().numpy())
        away = column.unsqueeze(-1) - cells  # known one row beyond the ends too
        outputs["features"][image, 2 * lane : 2 * lane + 2] = torch.stack([-3 * (away - 0.5).abs(), away])
    return outputs


def test_targets_survive_the_decode() -> None:
    """What the network is taught about rendered scenes decodes to the labels that it was made from."""
    detector = condlanenet_tiny()
    scenes = [render(900_000 + i) for i in range(16)]
    targets = CondLaneObjective(detector).targets([scene.lanes for scene in scenes])
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    found = agreement(truth, detector.decode(perfect(detector, targets)))
    assert found.f1 > 0.95 and found.shift < 0.5


def test_the_loss_is_small_for_the_targets_and_grows_with_errors() -> None:
    detector = condlanenet_tiny()
    objective = CondLaneObjective(detector)
    targets = objective.targets([[np.array([[300.0, 150.0], [200.0, 359.0]])], []])
    outputs = perfect(detector, targets)
    x, y = (targets["hm"][0, 0] == 1).nonzero()[0].flip(0).tolist()
    for name in ("location", "offset", "shift", "range"):  # the cells around say the same
        outputs[name][0, :, targets["lane"][0] == 0] = outputs[name][0, :, y, x].unsqueeze(-1)
    good = objective.loss(outputs, targets)
    assert good["offset"] < 1e-4 and good["column"] < 0.3 and good["range"] < 0.02
    for head, part in (("shift", "offset"), ("location", "column"), ("range", "range"), ("hm", "hm")):
        worse = objective.loss(outputs | {head: 0.3 - outputs[head]}, targets)
        assert worse[part] > good[part] + 0.1, head


def test_no_lanes_give_finite_losses() -> None:
    detector = condlanenet_tiny()
    objective = CondLaneObjective(detector)
    parts = objective.loss(blank(detector, 2), objective.targets([[], []]))
    assert all(torch.isfinite(part) for part in parts.values())


# ----------------------------------------------------------------------------------------------------- shipped weights


def test_the_shipped_weights_find_lanes_in_unseen_scenes() -> None:
    found = score(create("condlanenet-tiny"), [render(850_000 + i) for i in range(60)])
    assert found.f1 >= 0.89, found  # 0.92 on 400 scenes
    shipped = entry("condlanenet-tiny").shipped
    assert shipped is not None and shipped.stat().st_size < 3_000_000
