"""Training on rendered sweeps: views move points and boxes together, targets are what decoding reads back."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from sfcore.datasets.lidar import sweep
from sfcore.datasets.lidar.render import count_inside
from sfcore.detectors.base import Outputs
from sfcore.detectors.centerpoint import CenterPoint
from sfcore.detectors.registry import entry
from sfcore.training.centerpoint import CenterPointObjective
from sfcore.training.material import material
from sfcore.training.objective import Targets
from sfcore.training.sweeps import SweepAugmentation, boxes_of, made_sweep, render_sweeps, score_sweeps


@pytest.fixture(scope="module")
def detector() -> CenterPoint:
    torch.manual_seed(0)
    return entry("centerpoint-pillar-tiny").build().eval()


def as_taught(detector: CenterPoint, targets: Targets) -> Outputs:
    """The outputs of a network that has learnt its targets by heart."""
    frames, most = targets["there"].shape
    shapes = {head.name: (frames, len(head.channels), *detector.grid.size) for head in detector.heads}
    found = {name: torch.zeros(shape) for name, shape in shapes.items()}
    found["hm"] = torch.where(targets["hm"] == 1, 8.0, -8.0)
    for frame in range(frames):
        for slot in range(most):
            if targets["there"][frame, slot]:
                for name in ("reg", "height", "dim", "rot"):
                    found[name].flatten(2)[frame, :, targets["cell"][frame, slot]] = targets[name][frame, slot]
    return found


def test_what_a_network_should_say_decodes_to_the_boxes(detector: CenterPoint):
    boxes = [
        [np.array([10.1, -3.3, -1.0, 4.0, 1.9, 1.5, 2.5, 0, 1]), np.array([5.0, 8.0, -0.8, 0.6, 0.7, 1.8, -1.0, 1, 1])],
        [np.array([60.0, 0.0, -1.0, 4.0, 1.9, 1.5, 0.0, 0, 1])],  # out of range
        [],
    ]
    outputs = as_taught(detector, CenterPointObjective(detector).targets(boxes))
    found = detector.decode(outputs)
    assert found.counts().tolist() == [2, 0, 0]
    decoded = sorted((each[:8] for each in found.objects(0)), key=lambda each: each[7])
    np.testing.assert_allclose(decoded, np.stack(boxes[0])[:, :8], atol=1e-4)


def test_what_a_network_should_say_has_next_to_no_loss(detector: CenterPoint):
    objective = CenterPointObjective(detector)
    targets = objective.targets([boxes_of(sweep(3, 32))])
    perfect = as_taught(detector, targets)
    assert sum(objective.loss(perfect, targets).values()) < 0.01
    wrong = {name: value.clone() for name, value in perfect.items()}
    wrong["height"] += 0.5
    assert objective.loss(wrong, targets)["height"].item() == pytest.approx(1.0, abs=1e-4)  # twice half a metre


def test_an_axis_is_the_same_whichever_end_is_the_front(detector: CenterPoint):
    objective = CenterPointObjective(detector)
    targets = objective.targets([boxes_of(sweep(3, 32))])
    perfect = as_taught(detector, targets)
    turned = objective.loss(perfect | {"rot": -perfect["rot"]}, targets)
    across = objective.loss(perfect | {"rot": perfect["rot"].flip(1) * torch.tensor([1, -1]).view(1, 2, 1, 1)}, targets)
    assert turned["axis"] == 0 and turned["rot"] > 2 and across["axis"] > 2


def test_views_move_points_and_boxes_together():
    made = sweep(3, 64)
    plain = dataclasses.replace(SweepAugmentation(), thin=1.0)
    points, boxes = plain(made.points, boxes_of(made), np.random.default_rng(0))
    inside = count_inside(points, np.stack(boxes)[:, :7] * [1, 1, 1, 1.001, 1.001, 1.001, 1])
    assert len(points) == len(made.points) and (np.abs(inside - made.points_inside) <= 2).mean() > 0.9
    assert np.abs(np.stack(boxes)[:, :2] - made.boxes[:, :2]).max() > 1


def test_a_seed_decides_every_view():
    made = sweep(3, 32)
    one, same, other = (SweepAugmentation()(made.points, boxes_of(made), np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one[0], same[0]) and len(one[0]) != len(other[0])


def test_batches_are_inputs_of_the_detector(detector: CenterPoint):
    samples = render_sweeps(detector.preprocessing, 2, 5)
    inputs, boxes = samples.batch(np.array([1, 0, 1]), SweepAugmentation(), np.random.default_rng(0))
    assert inputs.shape == (3, 4, 1, detector.preprocessing.most) and len(boxes) == 3
    assert samples.points[0].dtype == np.float16 and len(samples.objects[1]) == len(boxes[0])


def test_scanners_take_turns():
    assert len(made_sweep(0).points) > 1.5 * len(made_sweep(1).points)


class Told(CenterPoint):
    """One that is told the boxes of the sweeps it is given."""

    def know(self, boxes: list[list[np.ndarray]]) -> Told:
        self.answer = as_taught(self, CenterPointObjective(self).targets(boxes))
        return self

    def forward(self, points: torch.Tensor) -> Outputs:
        return self.answer


def test_who_knows_the_boxes_scores_full_marks(detector: CenterPoint):
    made = [sweep(3, 32), sweep(4, 32)]
    told = entry("centerpoint-pillar-tiny").build().eval()
    told.__class__ = Told
    found = score_sweeps(told.know([boxes_of(each) for each in made]), made)
    assert found.f1 > 0.97 and found.ap50["vehicle"] > 0.97 and found.shift_dm < 0.01
    told.answer = {name: value[:2] * 0 - (10.0 if name == "hm" else 0.0) for name, value in told.answer.items()}
    assert score_sweeps(told, made).f1 == 0 and not math.isnan(score_sweeps(told, made).ap50["vehicle"])


def test_a_detector_of_points_is_trained_on_sweeps(detector: CenterPoint):
    assert material(detector).words.startswith("rendered sweeps")
    assert material(entry("ganet-tiny").sample).words.startswith("rendered scenes")
