"""LSTR against the published checkpoint's recorded outputs, its curve by hand, its training and shipped weights.

The records in ``published/recorded/lstr-*.npz`` come from https://github.com/voldemortX/pytorch-auto-drive at commit
137e63a9e6c3cd2cfeb15e101808478d7b25ddbd, configurations lstr/resnet18s_culane_aug and resnet34_culane_aug: the names
and shapes of the tensors of its state, its logits and curves for weights and input by the rule in
``published/rule.py``, and the lanes that its ``inference`` (of the test configuration) makes of
:func:`outputs_by_rule`.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.checkpoints import load_weights
from sfcore.detectors.lstr import LSTR, lstr_r18s, lstr_small, lstr_tiny
from sfcore.detectors.registry import create, entry
from sfcore.errors import InputError
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.training.lstr import WEIGHTS, WIDER, LSTRObjective, direction, ends, ends_off, matching
from sfcore.training.scoring import score
from tests.detectors.published import rule


def test_outputs_equal_the_published_ones(lstr: Detector, real_data: Path):
    recorded = np.load(real_data / "lstr" / "reference_outputs.npz")
    images = [cv2.imread(str(real_data / str(name)))[..., ::-1] for name in recorded["files"]]
    with torch.no_grad():
        outputs = lstr(lstr.preprocess(images))
    queries = outputs["own"].shape[1]
    shared = outputs["shared"].unsqueeze(1).expand(-1, queries, -1)
    curves = torch.cat([outputs["extent"], shared, outputs["own"]], -1)
    assert np.abs(outputs["logits"].numpy() - recorded["pred_logits"]).max() < 1e-4
    assert np.abs(curves.numpy() - recorded["pred_curves"]).max() < 1e-4


def outputs_by_rule(batch: int, queries: int) -> Outputs:
    """Fans of lanes to a place above their tops, unevenly sure, of any length, some equally sure."""
    random = rule.generator("lstr decode")
    shape = (batch, queries)
    slope = np.linspace(-2, 2, queries) + random.normal(0, 0.3, shape)
    horizon = random.uniform(0.2, 0.35, (batch, 1))
    shared = np.stack([random.normal(0, 0.002, batch), horizon[:, 0], random.normal(0, 0.03, batch)], -1)
    place = slope * horizon + random.normal(0, 0.05, shape)
    extent = np.stack([random.uniform(0.4, 0.6, shape), random.uniform(0.6, 1.1, shape)], -1)
    lane = np.linspace(-1, 9, batch)[:, None] + 2 * random.standard_normal(shape)
    lane[-1] = [6.0, 4.0, 7.0, 8.0, 6.0, 5.0, 6.0]
    values = {
        "logits": np.stack([np.zeros(shape), lane], -1),
        "extent": extent,
        "shared": np.concatenate([shared, np.full((batch, 1), 0.5)], -1),
        "own": np.stack([slope, place], -1),
    }
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}


@pytest.mark.parametrize("size", ["small", "mid"])
def test_heads_are_those_of_the_culane_models_for_the_same_weights(size: str, tmp_path: Path):
    record = np.load(rule.RECORDED / f"lstr-{size}.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    weights = {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}
    torch.save({"epoch": 150, "model": weights}, tmp_path / "model.pt")
    detector = create(f"lstr-{size}", tmp_path / "model.pt")
    with torch.no_grad():
        outputs = detector(rule.images(1, 288, 800))
    shared = outputs["shared"].unsqueeze(1).expand(-1, 7, -1)
    curves = torch.cat([outputs["extent"], shared, outputs["own"]], -1)
    for name, value in (("logits", outputs["logits"]), ("curves", curves)):
        np.testing.assert_allclose(rule.sample(name, value), record[name], atol=2e-5)
        assert record[name].std() > 0.01  # the record says something


def test_lanes_are_those_of_the_culane_models():
    record = np.load(rule.RECORDED / "lstr-small.npz")
    detector = lstr_small()
    detector.rows = 590 - 20.0 * torch.arange(17, -1, -1)  # the published code looks at these alone
    lanes = detector.decode(outputs_by_rule(len(record["count"]), 7))
    assert lanes.present.sum(1).tolist() == record["count"].tolist()
    assert {0, 1, 4} < set(record["count"].tolist())
    found = [line for image in range(len(lanes)) for line in lanes.polylines(image)]
    assert [len(line) for line in found] == record["points"].tolist()
    np.testing.assert_allclose(np.concatenate(found), record["lanes"], atol=0.01)


def by_hand() -> tuple[LSTR, dict[str, torch.Tensor]]:
    """Two queries, the first a lane: x = 0.1 / (y - 0.2) + 0.5 + 0.5 y - 0.4, from 0.5 to 0.9 of the height."""
    outputs = {
        "logits": torch.tensor([[[0.0, 3.0], [3.0, 0.0]]]),
        "extent": torch.tensor([[[0.5, 0.9], [0.0, 1.0]]]),
        "shared": torch.tensor([[0.0, 0.2, 0.1, 0.5]]),
        "own": torch.tensor([[[0.5, 0.4], [0.5, 0.4]]]),
    }
    return lstr_r18s().eval(), outputs


def test_decode_samples_the_curve_between_its_ends():
    detector, outputs = by_hand()
    lanes = detector.decode(outputs)
    assert lanes.present.tolist() == [[True, False]]
    line = lanes.polylines(0)[0]
    y = line[:, 1] / 360
    assert y.min() >= 0.5
    assert y.max() <= 0.9
    np.testing.assert_allclose(line[:, 0], (0.1 / (y - 0.2) + 0.5 + 0.5 * y - 0.4) * 640, rtol=1e-4)
    assert lanes.scores(0) == [pytest.approx(1 / (1 + np.exp(-3)))]


def test_road_points_are_the_curve_in_pixels_and_pass_gradients():
    detector, outputs = by_hand()
    outputs["own"].requires_grad_()
    points = detector.road_points(outputs)
    rows = len(detector.rows)
    line = detector.decode({k: v.detach() for k, v in outputs.items()})
    known = line.valid[0, 0]
    torch.testing.assert_close(points.position[0, :rows][known], line.x[0, 0][known])
    assert (points.weight[0, :rows] > 0).equal(known)
    assert points.position[0, 2 * rows : 2 * rows + 2].tolist() == pytest.approx([180.0, 324.0])
    (points.position * points.weight).sum().backward()
    assert outputs["own"].grad is not None
    assert torch.isfinite(outputs["own"].grad).all()
    assert (outputs["own"].grad[0, 0] != 0).all()


def test_a_checkpoint_of_something_else_is_refused_by_its_keys(tmp_path: Path):
    state = lstr_r18s().state_dict()
    state["stem.conv1.weight"] = state.pop("conv1.weight")
    state["class_embed.weight"] = torch.zeros(3, 32)
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "other.pkl")
    with pytest.raises(InputError) as caught:
        load_weights(lstr_r18s(), tmp_path / "other.pkl")
    said = str(caught.value)
    assert "1 missing: conv1.weight" in said
    assert "1 unexpected: stem.conv1.weight" in said
    assert "class_embed.weight (3, 32) instead of (2, 32)" in said


def test_profiling_counters_are_ignored(tmp_path: Path):
    state = lstr_r18s().state_dict()
    saved = {f"module.{key}": value for key, value in state.items()}
    saved |= {"total_ops": torch.zeros(1), "module.conv1.total_params": torch.zeros(1)}
    torch.save(saved, tmp_path / "profiled.pkl")
    load_weights(lstr_r18s(), tmp_path / "profiled.pkl")


def test_without_weights_the_message_says_where_they_are():
    with pytest.raises(
        InputError, match=r"lstr-r18s ships no weights: give its checkpoint .*github\.com/liuruijin17/LSTR"
    ):
        create("lstr-r18s")


def test_the_last_layer_speaks_in_units_and_turns_lanes_about_a_pivot():
    torch.manual_seed(0)
    tiny, states = lstr_tiny().eval(), torch.randn(2, 12, 64)
    with torch.no_grad():
        answers, raw, shared = tiny.answers(states), tiny.specific_embed(states), tiny.shared_embed(states).mean(1)
        more = answers | {"own": answers["own"] + torch.tensor([0.1, 0.1 * 0.6])}
    torch.testing.assert_close(answers["shared"], shared * torch.tensor([0.02, 0.1, 0.1, 0.3]))
    torch.testing.assert_close(answers["own"], torch.stack([raw[..., 2], raw[..., 3] + 0.6 * raw[..., 2]], -1))
    moved = (tiny.columns(more) - tiny.columns(answers))[0, 0]
    torch.testing.assert_close(moved, 640 * 0.1 * (tiny.rows / 360 - 0.6), atol=0.01, rtol=0)


# --------------------------------------------------------------------------------------------------------- training


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shared (4,) and own (L, 2) parameters that fit columns (L, R), NaN where absent, at heights (R,) in shares."""
    lane, row = np.nonzero(~np.isnan(x))
    weight = 1 / np.sqrt(np.bincount(lane))[lane]
    top, found = y[row].min(), []
    for horizon in np.linspace(top - 0.5, top - 0.02, 25):
        below = 1 / (y[row] - horizon)
        terms = np.zeros((len(lane), 2 + 2 * len(x)))
        terms[:, 0], terms[:, 1] = below**2, below
        terms[np.arange(len(lane)), 2 + 2 * lane] = y[row]
        terms[np.arange(len(lane)), 3 + 2 * lane] = -1
        best = np.linalg.lstsq(terms * weight[:, None], x[lane, row] * weight, rcond=None)[0]
        error = np.square((terms @ best - x[lane, row]) * weight).sum()
        found.append((error, np.array([best[0], horizon, best[1], 0.0]), best[2:].reshape(-1, 2)))
    return min(found, key=lambda each: each[0])[1:]


def test_the_curves_can_follow_the_lanes_of_rendered_scenes():
    detector = lstr_tiny()
    scenes = [render(900_000 + i, size=detector.frame) for i in range(12)]
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    targets = LSTRObjective(detector).targets([scene.lanes for scene in scenes])
    logits = torch.where(truth.present, 9.0, -9.0)
    outputs = {"logits": torch.stack([-logits, logits], -1), "extent": targets["ends"][..., :2]}
    outputs |= {"shared": torch.zeros(len(scenes), 4), "own": torch.zeros(*logits.shape, 2)}
    for image, there in enumerate(truth.present):
        shared, own = fitted(truth.x[image, there].numpy() / 640, detector.rows.numpy() / 360)
        outputs["shared"][image], outputs["own"][image, there] = torch.tensor(shared).float(), torch.tensor(own).float()
    found = agreement(truth, detector.decode(outputs))
    assert found.f1 > 0.97 and found.shift < 1.0


def test_a_lane_ends_where_it_ends_or_leaves_the_image():
    inside = np.array([[100.0, 180.0], [200.0, 90.0]])
    sideways = np.array([[-40.0, 216.0], [0.0, 198.0], [240.0, 90.0]])
    below = np.array([[100.0, 400.0], [200.0, 354.0], [200.0, 90.0]])
    assert ends(inside, (360, 640)) == (0.25, 0.5, False)
    assert ends(sideways, (360, 640)) == (0.25, 0.55, True)
    assert ends(below, (360, 640)) == (0.25, 354 / 360, True)


def test_below_where_it_leaves_the_image_a_lane_may_end_anywhere():
    wanted = torch.tensor([[0.25, 0.5, 0.0], [0.25, 0.5, 1.0]])
    for lower, off in ((0.4, [0.15, 0.15]), (0.9, [0.45, 0.05])):
        assert ends_off(torch.tensor([0.3, lower]), wanted).tolist() == pytest.approx(off)


def test_matching_is_the_cheapest_and_leaves_empty_slots_out():
    cost = torch.tensor([[[1.0, 0.0, -9.0], [9.0, 2.0, -9.0], [9.0, 9.0, -9.0]], [[0.0] * 3] * 3])
    present = torch.tensor([[True, True, False], [False] * 3])
    image, query, lane = matching(cost, present)
    assert [image.tolist(), query.tolist(), lane.tolist()] == [[0, 0], [0, 1], [0, 1]]  # 1 + 2 is less than 0 + 9


def two_lanes() -> tuple[LSTRObjective, list[list[np.ndarray]], Outputs]:
    """Two straight lanes in the first image, none in the second, and outputs that say so at queries 4 and 9."""
    task = LSTRObjective(lstr_tiny().eval())
    lines = [np.array([[256.0, 359.0], [320.0, 180.0]]), np.array([[384.0, 359.0], [320.0, 180.0]])]
    outputs = {
        "logits": torch.tensor([9.0, -9.0]).repeat(2, 12, 1),
        "extent": torch.tensor([0.5, 1.0]).repeat(2, 12, 1),
        "shared": torch.tensor([[0.0, 0.2, 0.0, 0.5]]).repeat(2, 1),
        "own": torch.zeros(2, 12, 2),
    }
    for query, (low, high) in zip((4, 9), lines, strict=True):
        slope = (low[0] - high[0]) / 640 / ((low[1] - high[1]) / 360)
        outputs["own"][0, query] = torch.tensor([slope, slope * 0.5])
        outputs["logits"][0, query] *= -1
    return task, [lines, []], outputs


def test_perfect_outputs_cost_nothing_and_displaced_ones_their_distance_across_the_lane():
    task, lanes, outputs = two_lanes()
    targets = task.targets(lanes)
    perfect = task.loss(outputs, targets)
    assert all(part < 2e-3 for part in perfect.values())
    outputs["own"][0, 4, 1] -= 4.0 / 640  # one of two lanes, to the right
    outputs["extent"][0, 9, 0] += 0.1
    moved = task.loss(outputs, targets)
    across = 4 * 179 / np.hypot(64, 179) / (0.5 * 640 * 30 / 1640)  # half strokes
    assert moved["distance"].item() == pytest.approx(WEIGHTS["distance"] * across / 2, rel=1e-3)
    overlap = 1 - (2 * WIDER - across) / (2 * WIDER + across)
    assert moved["overlap"].item() == pytest.approx(WEIGHTS["overlap"] * overlap / 2, rel=1e-3)
    assert moved["ends"].item() == pytest.approx(WEIGHTS["ends"] * 0.1 / 2, rel=1e-3)
    outputs["logits"][1] = 0.0
    lane = task.loss(outputs, targets)["lane"].item()
    assert lane == pytest.approx(WEIGHTS["lane"] * np.log(2) / 2, rel=1e-3)


def test_lanes_go_to_the_queries_of_their_sector_before_anything_is_learned():
    task, lanes, outputs = two_lanes()
    blank = {name: value[1:].clone() for name, value in outputs.items()}
    _, query, lane = matching(task._cost(blank, task.targets(lanes[:1])), torch.ones(1, 2, dtype=torch.bool))
    nearest = (task.sectors[:, None] - torch.tensor([direction(line) for line in lanes[0]])).abs().argmin(0)
    assert dict(zip(lane.tolist(), query.tolist(), strict=True)) == dict(enumerate(nearest.tolist()))


def test_every_decoder_layer_is_taught():
    torch.manual_seed(0)
    task, lanes, _ = two_lanes()
    detector = task.detector.train()
    outputs = detector(torch.randn(2, 3, 192, 320))
    targets = task.targets(lanes)
    taught = sum(task.loss(outputs, targets).values())
    last = sum(task.loss(outputs, targets).values())  # the states were read: what is left are the outputs
    assert taught > 1.5 * last
    taught.backward()
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters())


def test_images_without_lanes_can_be_learned():
    task, _, outputs = two_lanes()
    parts = task.loss(outputs, task.targets([[], []]))
    assert parts["distance"] == parts["overlap"] == parts["ends"] == 0
    assert 0 < parts["lane"] < 10


# -------------------------------------------------------------------------------------------------- shipped weights


def test_the_shipped_weights_find_lanes_in_unseen_scenes():
    found = score(create("lstr-tiny"), [render(850_000 + i, size=(360, 640)) for i in range(100)])
    assert found.f1 >= 0.87, found


def test_the_shipped_weights_are_small():
    path = entry("lstr-tiny").shipped
    assert path is not None and path.stat().st_size < 3_000_000
