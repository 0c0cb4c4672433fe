"""CenterPoint-Pillar against hand-computed cases: points to pillars, cells to boxes, boxes to what teaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.detectors.centerpoint import CenterPoint
from sfcore.detectors.centerpoint_decode import Grid, taught
from sfcore.detectors.pillars import HardPillars, Pillars
from sfcore.detectors.registry import entry
from sfcore.inputs.points import PointCloud
from sfcore.quant.objectives import OBJECTIVES
from sfcore.tasks.boxes3d.geometry import corners

CLOUD = PointCloud((-2.0, -1.0, 2.0, 1.0), (-1.0, 3.0), 0.5, most=16)


@pytest.fixture(autouse=True)
def _seeded():
    """A few random filters may all be negative, and a pillar then looks like an empty one."""
    torch.manual_seed(0)


def sweep(*points: tuple[float, float, float, float], cloud: PointCloud = CLOUD) -> Tensor:
    return cloud([np.array(points, np.float32)])


@pytest.fixture(scope="module")
def tiny() -> CenterPoint:
    torch.manual_seed(0)
    return entry("centerpoint-pillar-tiny").build().eval()


def nothing(detector: CenterPoint, frames: int = 1) -> Outputs:
    """Heads that find nothing."""
    shapes = {head.name: (frames, len(head.channels), *detector.grid.size) for head in detector.heads}
    return {name: torch.full(shape, -10.0 if name == "hm" else 0.0) for name, shape in shapes.items()}


def put(outputs: Outputs, cell: tuple[int, int], box: dict[str, tuple[float, ...]], label: int, score: float) -> None:
    """Make a cell say a box."""
    outputs["hm"][0, label, cell[0], cell[1]] = math.log(score / (1 - score))
    for name, values in box.items():
        outputs[name][0, :, cell[0], cell[1]] = torch.tensor(values)


CAR = {"reg": (0.5, 0.25), "height": (-1.0,), "dim": (math.log(4), math.log(2), math.log(1.5)), "rot": (0.0, 1.0)}


def test_a_point_is_told_by_its_distance_from_its_neighbours_and_its_pillar():
    pillars = Pillars(CLOUD, (4,))
    points, cell = pillars.placed(sweep((0.1, 0.2, 1.0, 0.5), (0.3, 0.4, 2.0, 0.1), (-1.9, -0.9, 0.0, 1.0)).squeeze(2))
    assert cell[0, :3].tolist() == [2 * 8 + 4, 2 * 8 + 4, 0] and (cell[0, 3:] == 4 * 8).all()
    told = pillars.decorated(points, cell) * pillars.units.reshape(-1, 1)
    expected = [
        [0.1, 0.2, 1.0, 0.5, -0.1, -0.1, -0.5, -0.15, -0.05, 0.0],
        [0.3, 0.4, 2.0, 0.1, 0.1, 0.1, 0.5, 0.05, 0.15, 1.0],
        [-1.9, -0.9, 0.0, 1.0, 0.0, 0.0, 0.0, -0.15, -0.15, -1.0],
    ]
    torch.testing.assert_close(told[0, :, :3].T, torch.tensor(expected), atol=1e-6, rtol=0)
    assert (told[0, :, 3:] == 0).all()


def test_pillars_are_where_their_points_are_and_the_rest_is_zero():
    pillars = Pillars(CLOUD, (8, 8)).eval()
    found = pillars(sweep((0.1, 0.2, 1.0, 0.5), (-1.9, -0.9, 0.0, 1.0), (9.0, 0.0, 0.0, 1.0)))
    assert found.shape == (1, 8, 4, 8)
    assert {tuple(place) for place in found[0].amax(0).nonzero().tolist()} == {(2, 4), (0, 0)}


def test_the_order_of_points_does_not_matter_unless_pillars_are_cut():
    random = torch.Generator().manual_seed(0)
    points = CLOUD.example(2, random)
    shuffled = points[..., torch.randperm(16, generator=random)]
    pillars = Pillars(CLOUD, (8, 8)).eval()
    torch.testing.assert_close(pillars(points), pillars(shuffled))


def test_points_beyond_the_most_of_a_pillar_count_for_nothing():
    crowd = [(0.1 + 0.01 * i, 0.2, 0.1 * i, 0.5) for i in range(5)]
    pillars = HardPillars(CLOUD, (8, 8), 3).eval()
    assert torch.equal(pillars(sweep(*crowd)), pillars(sweep(*crowd[:3])))
    assert not torch.equal(pillars(sweep(*crowd[:3])), pillars(sweep(*crowd[:2])))


def test_a_pillar_that_is_not_full_holds_a_point_of_zeros():
    pillars = HardPillars(CLOUD, (8,), 2).eval()
    layer = pillars.pfn_layers[0]
    with torch.no_grad():
        layer.norm.bias.fill_(5.0)  # what a point of zeros becomes
        layer.norm.running_mean.zero_()
        layer.conv.weight.fill_(-1.0)
    one, two = pillars(sweep((0.4, 0.4, 2.0, 1.0))), pillars(sweep(*[(0.4, 0.4, 2.0, 1.0)] * 2))
    assert one[0, :, 2, 4].tolist() == pytest.approx([5.0] * 8) and (two[0, :, 2, 4] < 5).all()


def test_a_cell_says_a_box_in_metres(tiny: CenterPoint):
    outputs = nothing(tiny)
    put(outputs, (70, 80), {**CAR, "rot": (0.6, 0.8)}, 1, 0.8)
    found = tiny.decode(outputs)
    (box,) = found.objects(0)
    expected = [-40.96 + 80.5 * 0.64, -40.96 + 70.25 * 0.64, -1.0, 4.0, 2.0, 1.5, math.atan2(0.6, 0.8), 1.0, 0.8]
    assert box.tolist() == pytest.approx(expected, abs=1e-4)
    assert found.labels(0) == ["pedestrian"]


def test_of_boxes_on_one_place_the_surest_stays_whatever_its_class(tiny: CenterPoint):
    outputs = nothing(tiny)
    put(outputs, (70, 80), CAR, 0, 0.6)
    put(outputs, (70, 81), {**CAR, "reg": (-0.4, 0.25)}, 1, 0.7)
    put(outputs, (20, 20), CAR, 2, 0.5)
    put(outputs, (100, 20), CAR, 0, 0.09)  # not sure enough
    found = tiny.decode(outputs)
    assert sorted(found.labels(0)) == ["cyclist", "pedestrian"]
    assert found.scores(0) == pytest.approx([0.7, 0.5])


def test_nothing_found_is_no_box(tiny: CenterPoint):
    assert tiny.decode(nothing(tiny, 2)).counts().tolist() == [0, 0]


def test_groups_of_classes_are_suppressed_on_their_own():
    nuscenes = entry("centerpoint-pillar-nuscenes").build()
    outputs = nothing(nuscenes)
    for kind in (0, 3, 4):  # a car; a bus and a trailer, which are of one group
        outputs["hm"][0, kind, 50, 50] = 2.0 + kind
    outputs["dim"].fill_(math.log(3))
    assert sorted(nuscenes.decode(outputs).labels(0)) == ["car", "trailer"]
    heads = {name: tuple(value.shape) for name, value in outputs.items()}
    assert heads["vel"] == (1, 12, 128, 128) and heads["hm"] == (1, 10, 128, 128)
    sure = nuscenes.confidence(outputs, "reg")[0, :, 50, 50]
    assert torch.equal(sure[4:6], outputs["hm"][0, 4, 50, 50].sigmoid().expand(2)) and sure[2:4].max() < 0.01


def test_corners_are_those_of_the_decoded_box_in_decimetres(tiny: CenterPoint):
    outputs = nothing(tiny)
    put(outputs, (70, 80), {**CAR, "rot": (0.3, -0.4)}, 0, 0.8)  # sine and cosine need not be of length 1
    points = tiny.corners(outputs)
    position, weight = (
        each.unflatten(1, (*tiny.grid.size, 10))[0, 70, 80] for each in (points.position, points.weight)
    )
    box = tiny.decode(outputs).box[0, 0]
    torch.testing.assert_close(position[:8] / 10, corners(box)[:4, :2].flatten(), atol=1e-3, rtol=0)
    assert (position[8:] / 10).tolist() == pytest.approx([-1.75, -0.25], abs=1e-4)
    assert weight.tolist() == pytest.approx([0.8] * 10) and points.weight.sum() == pytest.approx(8.0)


def test_positives_are_gaussians_around_the_boxes_that_stay(tiny: CenterPoint):
    outputs = nothing(tiny)
    put(outputs, (70, 80), CAR, 0, 0.9)
    put(outputs, (70, 81), {**CAR, "reg": (-0.4, 0.25)}, 0, 0.5)
    heat = tiny.positives(outputs, 0.1)["hm"]
    assert (heat == 1).nonzero().tolist() == [[0, 0, 70, 80]]
    assert heat[0, 0, 70, 81] == pytest.approx(math.exp(-1 / (2 * (5 / 6) ** 2)), abs=1e-5)  # radius 2
    assert tiny.positives(outputs, 0.95)["hm"].max() == 0


def test_the_global_positive_loss_reads_its_peaks(tiny: CenterPoint):
    reference = nothing(tiny)
    put(reference, (70, 80), CAR, 0, 0.9)
    moved = {name: value.clone() for name, value in reference.items()}
    moved["dim"][0, :, 70, 80] += torch.tensor([0.1, -0.2, 0.0])
    moved["dim"][0, :, 5, 5] += 100
    terms = OBJECTIVES["global-positive"](tiny, moved, reference, ("dim", "rot"), 1.0)
    assert terms.semantics["dim"].item() == pytest.approx(0.3, abs=1e-5) and terms.semantics["rot"].item() == 0


def test_boxes_teach_the_cells_of_their_centres():
    grid = Grid((-8.0, -4.0), 0.5, (16, 32))
    box = torch.tensor([[[1.3, -0.6, 0, 4, 2, 1.5, 0], [9.0, 0, 0, 4, 2, 1.5, 0], [math.nan] * 7]])
    heat, cell, there = taught(box, torch.tensor([[1, 0, 0]]), 2, grid)
    assert there.tolist() == [[True, False, False]] and cell[0, 0] == 6 * 32 + 18
    assert (heat == 1).nonzero().tolist() == [[0, 1, 6, 18]] and heat[0, 0].max() == 0


def test_a_larger_box_teaches_a_wider_circle():
    grid = Grid((-16.0, -16.0), 0.32, (100, 100))
    sizes = torch.tensor([[[0, 0, 0, side, side, 1.5, 0.0]] for side in (0.5, 4.0, 12.0)])
    reach = [(heat > 0).any(0).any(0).sum().item() for heat in taught(sizes, torch.zeros(3, 1).long(), 1, grid)[0]]
    assert reach[0] == 5 < reach[1] < reach[2]  # two cells to either side at least
