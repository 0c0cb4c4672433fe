"""LaneATT: published keys, outputs and lanes against records of the published code, decode by hand, shipped weights.

``recorded/laneatt-*.npz`` come from lucastabelini/LaneATT at commit 2f8583b, models of cfgs/laneatt_culane_resnet18.yml
and ..._resnet34.yml, filled by ``rule.fill``, with ``anchor_frequency`` below in place of culane_anchors_freq.pt:

- ``logits``, ``length``, ``offset``: samples of what cls_layer and reg_layer give for ``rule.images(1, 360, 640)``;
- ``auto-drive``: the logits of voldemortX/pytorch-auto-drive at commit 137e63a, filled likewise, for the same image
  with its channels turned around (that code reads RGB);
- ``columns``, ``rows``, ``image``: the points of the lanes that LaneATT.nms and LaneATT.decode find in
  ``noisy_scenes``, with the functions of nms_kernel.cu compiled for the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.checkpoints import load_weights
from sfcore.detectors.laneatt import ROWS, LaneATT, laneatt_mid, laneatt_small, laneatt_tiny
from sfcore.detectors.laneatt_anchors import PUBLISHED, Fan, cells, columns
from sfcore.detectors.laneatt_decode import Choice, Proposals, best, visible
from sfcore.detectors.laneatt_published import main as join
from sfcore.detectors.laneatt_published import most_frequent
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.agreement import agreement
from sfcore.training.laneatt import LaneATTObjective
from sfcore.training.scoring import score
from tests.detectors.published import rule

SIZES = [("small", laneatt_small, (2, 2, 2, 2)), ("mid", laneatt_mid, (3, 4, 6, 3))]

# ------------------------------------------------------------------------------------- published keys and outputs


def anchor_frequency() -> Tensor:
    """Stands in for culane_anchors_freq.pt: how often each of the 2784 anchors is matched, no two equally often."""
    return torch.from_numpy(rule.generator("anchors_freq").permutation(2784).astype(np.int32))


def chosen_anchors() -> Tensor:
    """(1000, 4) the anchors that these numbers choose."""
    return PUBLISHED.anchors()[anchor_frequency().argsort(descending=True)[:1000]]


def published_shapes(blocks: tuple[int, ...], modules: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes that a published code saves, written down from its layers and configuration.

    Args:
        modules: what it calls conv1, bn1 and the stages of the ResNet.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{k}": (channels,) for k in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    def linear(name: str, outputs: int, *inputs: int) -> None:
        shapes.update({f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)})

    shapes[f"{modules[0]}.weight"] = (64, 3, 7, 7)
    norm(modules[1], 64)
    inputs = 64
    for stage, count, width in zip(modules[2:], blocks, (64, 128, 256, 512), strict=True):
        for index in range(count):
            block = f"{stage}.{index}"
            shapes[f"{block}.conv1.weight"] = (width, inputs, 3, 3)
            shapes[f"{block}.conv2.weight"] = (width, width, 3, 3)
            norm(f"{block}.bn1", width)
            norm(f"{block}.bn2", width)
            if inputs != width:
                shapes[f"{block}.downsample.0.weight"] = (width, inputs, 1, 1)
                norm(f"{block}.downsample.1", width)
            inputs = width
    linear("conv1", 64, 512, 1, 1)
    linear("cls_layer", 2, 1408)
    linear("reg_layer", 73, 1408)
    linear("attention_layer", 999, 704)
    return shapes


NUMBERED = tuple(f"feature_extractor.{number}" for number in (0, 1, 4, 5, 6, 7))  # by the author
NAMED = tuple(f"backbone.{name}" for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"))  # by auto-drive


def outputs_of(build: Callable[[], LaneATT], blocks: tuple[int, ...], modules: tuple[str, ...]) -> Outputs:
    """What a published checkpoint, filled by the rule, says about the rule's image."""
    state = {key: rule.values(key, shape) for key, shape in published_shapes(blocks, modules).items()}
    detector = build().eval()
    detector.load_state_dict(detector.own_keys(state | {"anchors_freq": anchor_frequency()}))
    with torch.no_grad():
        return detector(rule.images(1, 360, 640))


@pytest.mark.parametrize(("name", "build", "blocks"), SIZES)
def test_outputs_equal_the_published_ones(name: str, build, blocks: tuple[int, ...]) -> None:
    record = np.load(rule.RECORDED / f"laneatt-{name}.npz")
    for head, output in outputs_of(build, blocks, NUMBERED).items():
        assert np.ptp(record[head]) > 0.5
        np.testing.assert_allclose(rule.sample(head, output), record[head], atol=1e-4)


def test_outputs_equal_those_of_the_other_published_code() -> None:
    record = np.load(rule.RECORDED / "laneatt-small.npz")["auto-drive"]
    found = outputs_of(laneatt_small, (2, 2, 2, 2), NAMED)["logits"]
    np.testing.assert_allclose(rule.sample("logits", found), record, atol=1e-4)


def test_lengths_of_the_other_published_code_start_from_their_anchors_place() -> None:
    """It adds its regressed values to (start, x, x of each row), so that the length's comes on top of x."""
    shapes = published_shapes((2, 2, 2, 2), NAMED)
    state = {key: torch.zeros(shape) for key, shape in shapes.items()} | {"anchors_freq": anchor_frequency()}
    anchors = laneatt_small().own_keys(state)["anchors"]
    assert torch.equal(anchors[:, 3], anchors[:, 0]) and len(anchors[:, 3].unique()) > 20


def test_a_checkpoint_must_be_joined_with_its_anchors_once(tmp_path, capsys) -> None:
    files = [tmp_path / name for name in ("model_0015.pt", "culane_anchors_freq.pt", "joined.safetensors")]
    state = {key: torch.zeros(shape) for key, shape in published_shapes((2, 2, 2, 2), NUMBERED).items()}
    torch.save({"epoch": 15, "model": state}, files[0])
    torch.save(anchor_frequency(), files[1])
    detector = laneatt_small()
    with pytest.raises(InputError, match=r"python -m sfcore\.detectors\.laneatt_published CHECKPOINT culane_anchors"):
        load_weights(detector, files[0])
    assert join([str(file) for file in files]) == 0
    load_weights(detector, files[2])
    assert torch.equal(detector.anchors, chosen_anchors())
    torch.save(anchor_frequency()[:1000], files[1])
    assert join([str(file) for file in files]) == 2
    assert "one number for each of 2784 anchors" in capsys.readouterr().err


def test_what_this_project_saves_loads_as_it_is(tmp_path) -> None:
    detector = laneatt_tiny()
    detector.anchors += 0.01
    torch.save(detector.state_dict(), tmp_path / "tiny.pt")
    other = laneatt_tiny()
    load_weights(other, tmp_path / "tiny.pt")
    assert torch.equal(other.anchors, detector.anchors)


# --------------------------------------------------------------------------------------------- anchors and attention


def test_anchors_are_lines_from_the_border() -> None:
    fan = Fan(left=(45,), bottom=(90,), right=(135,), lateral=2, base=3).anchors()
    assert fan[:, :2].tolist() == [[0, 1], [0, 0], [1, 1], [0.5, 1], [0, 1], [1, 1], [1, 0]]
    crossed = columns(fan, torch.tensor([1.0, 0.75, 0.0]))
    expected = [[0, 0.25, 1], [-1, -0.75, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0, 0, 0], [1, 0.75, 0], [2, 1.75, 1]]
    torch.testing.assert_close(crossed, torch.tensor(expected))
    assert len(PUBLISHED.anchors()) == 72 * 6 + 128 * 15 + 72 * 6


def test_equally_frequent_anchors_have_the_order_of_torch_1_6() -> None:
    """What its argsort gives; the weights of the author's models go by it."""
    values = [i * i * 7 % 11 for i in range(40)]
    expected = [6, 5, 17, 27, 28, 16, 39, 38, 30, 36, 25, 14, 19, 8, 3, 23, 21, 34, 12, 32,
                1, 10, 20, 13, 35, 24, 9, 2, 31, 37, 26, 4, 29, 7, 18, 15, 33, 22, 11, 0]  # fmt: skip
    assert most_frequent(values) == expected


def test_anchors_collect_the_cells_that_they_cross_and_nothing_outside() -> None:
    diagonal = torch.tensor([[0.0, 1.0, 1.5, 0.0]])  # from the lower left corner, out of the image on the right
    column, inside = cells(diagonal, (160, 160), 32, 5)
    assert inside.tolist() == [[0, 0, 1, 1, 1]]
    assert column.tolist() == [[4, 4, 4, 2, 0]]  # 7.5, 5.6, 3.75, 1.875 and 0


def test_an_anchor_attends_to_all_others_and_not_to_itself() -> None:
    detector = laneatt_tiny()
    count, width = detector.attention_layer.out_features + 1, detector.attention_layer.in_features
    own = torch.randn(2, count, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, weight = detector.attention(own), detector.attention_layer(own).softmax(-1)
    off = ~torch.eye(count, dtype=torch.bool)
    assert (found.diagonal(dim1=1, dim2=2) == 0).all()
    assert torch.equal(found[:, off].view(2, count, count - 1), weight)


# ------------------------------------------------------------------------------------------------------------ decode


def noisy_scenes(detector: LaneATT, count: int, level: float = 1.0) -> Outputs:
    """Outputs as a trained network would give them for rendered scenes, with errors of every kind."""
    frame = np.array(detector.frame[::-1]) / (640, 360)
    targets = LaneATTObjective(detector).targets([[line * frame for line in render(900_000 + i).lanes]
                                                  for i in range(count)])  # fmt: skip
    random = rule.generator("noisy scenes")

    def noise(shape: tuple[int, ...], scale: float) -> Tensor:
        return torch.from_numpy((level * scale * random.standard_normal(shape)).astype(np.float32))

    label = (targets["logits"] != 0).float()
    lane = 2 * label - 1 + noise(label.shape, 0.6)
    bend = noise((*label.shape, 3), 4.0) @ torch.linspace(-1, 1, ROWS).pow(torch.arange(3.0).unsqueeze(1))
    length = torch.where(label > 0, targets["length"], 20).unsqueeze(-1) + noise((*label.shape, 1), 4.0)
    offset = targets["offset"] + bend + noise(targets["offset"].shape, 0.5)
    return {"logits": torch.stack([-lane, lane], -1), "length": length, "offset": offset}


def test_decoded_lanes_equal_the_published_ones() -> None:
    record = np.load(rule.RECORDED / "laneatt-small.npz")
    detector = laneatt_small()
    detector.anchors = chosen_anchors()
    upwards = detector.decode(noisy_scenes(detector, 6)).x.flip(2)
    image, slot, row = upwards.isfinite().nonzero(as_tuple=True)  # slots are in the order of confidence, as published
    found = torch.stack([image, upwards[image, slot, row], detector.rows.flip(0)[row]], 1)
    height, width = detector.frame
    known = (record["columns"] * width <= width - 1) & (record["rows"] < 1)
    expected = np.stack([record["image"], record["columns"] * width, record["rows"] * height], 1)[known]
    assert len(found) == len(expected) > 500
    np.testing.assert_allclose(found, expected, atol=0.01)


def proposals(*lanes: tuple[float, int, float, float], image: tuple[int, ...] | None = None) -> Proposals:
    """Upright proposals, each (score, start, length, column)."""
    table = torch.tensor(lanes)
    images = torch.tensor(image or (0,) * len(lanes))
    return Proposals(images, table[:, 0], table[:, 1].long(), table[:, 2], table[:, 3:].expand(-1, ROWS).clone())


def test_suppression_keeps_the_most_confident_of_near_proposals() -> None:
    choice = Choice(confidence=0.5, near=50.0, lanes=4)
    given = proposals((0.9, 0, 30, 100.0), (0.8, 0, 30, 149.0), (0.7, 0, 30, 150.0), (0.6, 0, 30, 190.0))
    found, place = best(given, choice)
    assert found.x[:, 0].tolist() == [100.0, 150.0]  # 149 is too near to 100; 190 to 150, not to the dropped 149
    assert place.tolist() == [0, 1]
    assert len(best(given, Choice(0.5, 1.0, 3))[0].image) == 3


def test_proposals_that_share_no_row_or_no_image_do_not_suppress_each_other() -> None:
    choice = Choice(confidence=0.5, near=50.0, lanes=4)
    apart = proposals((0.9, 0, 20, 100.0), (0.8, 20, 20, 100.0), (0.7, 19, 20, 100.0))
    assert best(apart, choice)[0].score.tolist() == pytest.approx([0.9, 0.8])  # the third shares row 19 with the first
    images = proposals((0.9, 0, 20, 100.0), (0.8, 0, 20, 100.0), image=(0, 1))
    assert best(images, choice)[0].image.tolist() == [0, 1]


def test_a_lane_goes_on_below_its_start_until_it_leaves_the_image() -> None:
    given = proposals((0.9, 10, 5.4, 100.0), (0.9, 10, 5.0, 100.0), (0.9, 10, 0.0, 100.0), (0.9, 2, -9.0, 100.0))
    given.x[1, 4] = 641.0
    rows = [visible(given, 640)[i].nonzero().flatten().tolist() for i in range(4)]
    # The last as published: it ends at row 2 - 9 - 1 = -8, which is the eighth from the top.
    assert rows == [list(range(15)), list(range(5, 15)), list(range(10)), list(range(65))]


def test_a_drawn_lane_comes_back_where_it_was_drawn() -> None:
    detector = laneatt_small()
    outputs = {"logits": torch.zeros(1, 1000, 2), "length": torch.zeros(1, 1000, 1), "offset": torch.zeros(1, 1000, 72)}
    anchor = 500
    column = torch.linspace(320, 250, ROWS)
    outputs["logits"][0, anchor, 1] = 2.0
    outputs["length"][0, anchor] = 31.0 - detector.starts[anchor]
    outputs["offset"][0, anchor] = column - detector.lines[anchor]
    lanes = detector.decode(outputs)
    assert lanes.present.tolist() == [[True, False, False, False]]
    assert lanes.score[0].tolist() == [pytest.approx(1 / (1 + math.exp(-2))), 0, 0, 0]
    line = lanes.polylines(0)[0][::-1]
    expected = np.stack([column.numpy() * 1640 / 640, np.linspace(1, 0, ROWS) * 590], 1)[30:0:-1]
    np.testing.assert_allclose(line, expected, rtol=1e-5)


def test_a_batch_decodes_as_its_images_do_alone_and_no_lanes_are_no_error() -> None:
    detector = laneatt_tiny()
    outputs = noisy_scenes(detector, 6)
    together = detector.decode(outputs)
    assert together.present.sum() > 12
    for image in range(6):
        alone = detector.decode({name: value[image : image + 1] for name, value in outputs.items()})
        torch.testing.assert_close(alone.x, together[image].x, equal_nan=True, atol=0, rtol=0)
        assert torch.equal(alone.score, together[image].score)
    nothing = detector.decode({name: torch.zeros_like(value) for name, value in outputs.items()})
    assert nothing.x.shape == (6, 8, ROWS - 1) and not nothing.present.any()


# --------------------------------------------------------------------------------------------------------- road points


def test_road_points_are_pixels_and_follow_the_semantics() -> None:
    detector = laneatt_tiny()
    outputs = {name: value.requires_grad_() for name, value in noisy_scenes(detector, 2, level=0.0).items()}
    points = detector.road_points(outputs)
    count = len(detector.anchors)
    position, weight = (value.view(2, count, ROWS + 1) for value in (points.position, points.weight))
    lanes = detector.decode({name: value.detach() for name, value in outputs.items()})
    anchor = int(outputs["logits"][0, :, 1].argmax())  # the most confident becomes the first lane
    start, length = int(detector.starts[anchor]), int(outputs["length"][0, anchor])
    seen = weight[0, anchor, :-1].nonzero().flatten()
    assert start <= seen[0] and seen[-1] == start + length - 1
    drawn = lanes.x[0, 0].flip(0)  # without the lowest row
    torch.testing.assert_close(position[0, anchor, seen[1:]], drawn[seen[1:] - 1])
    assert position[0, anchor, -1].item() == pytest.approx(detector.rows.flip(0)[start + length - 2].item(), abs=1e-3)
    (points.position * points.weight).sum().backward()
    chance = outputs["logits"].detach().softmax(-1)[0, anchor, 1]
    torch.testing.assert_close(outputs["offset"].grad[0, anchor, seen], (chance * 2).expand(len(seen)))
    torch.testing.assert_close(outputs["length"].grad[0, anchor, 0], -chance * 252 / 71)
    assert outputs["logits"].grad is None


# ------------------------------------------------------------------------------------------------------------ training


def test_targets_survive_the_decode() -> None:
    """Training targets of rendered scenes decode to the labels that they were made from."""
    detector = laneatt_tiny()
    scenes = [render(900_000 + i) for i in range(24)]
    targets = LaneATTObjective(detector).targets([scene.lanes for scene in scenes])
    lane = (targets["logits"] == 1).float()
    outputs = {"logits": torch.stack([1 - lane, lane], -1), "length": targets["length"].unsqueeze(-1).float()}
    truth = Lanes.from_polylines([scene.lanes for scene in scenes], detector.rows, detector.frame)
    found = agreement(truth, detector.decode(outputs | {"offset": targets["offset"]}))
    assert found.f1 > 0.98 and found.shift < 0.1


def test_the_loss_is_least_where_the_targets_are() -> None:
    detector = laneatt_tiny()
    objective = LaneATTObjective(detector)
    targets = objective.targets([render(900_003).lanes, []])
    assert (targets["logits"][1] == 0).all() and (targets["weight"][1] == 0).all()
    lane = 40.0 * (targets["logits"] == 1) - 20
    outputs = {"logits": torch.stack([-lane, lane], -1), "length": targets["length"].unsqueeze(-1).float()}
    outputs["offset"] = targets["offset"].clone()
    assert sum(objective.loss(outputs, targets).values()) < 1e-6
    outputs["offset"] += 2.0
    parts = objective.loss(outputs, targets)
    assert 0 < parts["offset"] <= 2.0 * 0.3 and parts["logits"] < 1e-6  # 2 px sideways are less across the lane


# --------------------------------------------------------------------------------------------------- shipped weights


def test_the_shipped_weights_find_lanes_in_unseen_scenes() -> None:
    found = score(create("laneatt-tiny"), [render(850_000 + i) for i in range(60)])
    assert found.f1 >= 0.89, found  # 0.911; 0.884 on 400 others
