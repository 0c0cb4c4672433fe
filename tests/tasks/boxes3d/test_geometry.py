"""Overlap of turned boxes against cases by hand, OpenCV, and a slow clipping of polygons."""

import math

import cv2
import numpy as np
import pytest
import torch

from sfcore.tasks.boxes3d.geometry import bev_iou, bev_overlap, corners, ground_corners, iou_3d, nms, overlap_of_pairs

CAR = [10.0, 2.0, -1.0, 4.0, 2.0, 1.5, 0.0]


def box(*numbers: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor([numbers], dtype=dtype)


def changed(**numbers: float) -> torch.Tensor:
    values = dict(zip(("x", "y", "z", "l", "w", "h", "yaw"), CAR, strict=True)) | numbers
    return box(*values.values())


def iou(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(bev_iou(first, second))


def drawn(count: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Boxes of all shapes in a crowd, so that most of them overlap."""
    noise = torch.rand(count, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    low = torch.tensor([60.0, -3, -1, 0.3, 0.3, 0.5, -7.0], dtype=torch.float64)
    top = torch.tensor([66.0, 3, 1, 9, 3, 3, 7.0], dtype=torch.float64)
    return (low + noise * (top - low)).to(dtype)


def cross(a: np.ndarray, b: np.ndarray) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def clipped_area(first: torch.Tensor, second: torch.Tensor) -> float:
    """Sutherland and Hodgman, in double precision, for one pair."""
    polygon, clip = (list(map(np.array, ground_corners(each.double()).tolist())) for each in (first, second))
    for start, end in zip(clip, clip[1:] + clip[:1], strict=True):
        side = [cross(end - start, point - start) for point in polygon]
        left: list[np.ndarray] = []
        for i, point in enumerate(polygon):
            here, before = side[i], side[i - 1]
            if (here >= 0) != (before >= 0):
                left.append(polygon[i - 1] + (point - polygon[i - 1]) * before / (before - here))
            if here >= 0:
                left.append(point)
        polygon = left
    return abs(sum(cross(polygon[i - 1], polygon[i]) for i in range(len(polygon)))) / 2


def test_corners_go_round_from_the_front_left() -> None:
    found = ground_corners(changed(yaw=math.pi / 2))[0]  # it looks along y: its left is at smaller x
    assert torch.allclose(found, torch.tensor([[9.0, 4], [9, 0], [11, 0], [11, 4]]), atol=1e-5)
    space = corners(changed())[0]
    assert torch.equal(space[:4, :2], space[4:, :2]) and torch.equal(space[:4, :2], ground_corners(changed())[0])
    assert space[:4, 2].tolist() == [-1.75] * 4 and space[4:, 2].tolist() == [-0.25] * 4


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, 1.0),
        ({"yaw": math.pi}, 1.0),  # looks the other way, covers the same ground
        ({"yaw": math.pi / 2}, 4 / 12),  # a cross: the square of the width is shared
        ({"yaw": math.pi / 2, "l": 2.0, "w": 4.0}, 1.0),
        ({"x": 12.0}, 4 / 12),
        ({"x": 14.0}, 0.0),  # touches with its rear
        ({"x": 14.0, "y": 4.0}, 0.0),  # touches in a corner
        ({"x": 30.0}, 0.0),
        ({"l": 2.0, "w": 1.0}, 2 / 8),  # inside
        ({"l": 2.0, "w": 1.0, "x": 11.0, "y": 2.5}, 2 / 8),  # inside, in a corner
        ({"z": 50.0, "h": 9.0}, 1.0),  # heights do not matter
        ({"l": 0.0}, 0.0),
        ({"l": 0.0, "w": 0.0}, 0.0),
        ({"x": math.nan}, 0.0),
    ],
)
def test_overlap_of_hand_computed_cases(other: dict[str, float], expected: float) -> None:
    assert iou(changed(), changed(**other)) == pytest.approx(expected, abs=1e-5)
    assert iou(changed(**other), changed()) == pytest.approx(expected, abs=1e-5)


def test_a_square_on_its_corner_shares_an_octagon() -> None:
    straight, tilted = changed(l=2.0), changed(l=2.0, yaw=math.pi / 4)
    octagon = 8 * (math.sqrt(2) - 1)  # 2 (√2 - 1) s² of side s = 2
    assert float(bev_overlap(straight, tilted)) == pytest.approx(octagon, abs=1e-5)


def test_two_boxes_of_no_size_share_nothing() -> None:
    nothing = changed(l=0.0, w=0.0, h=0.0)
    assert iou(nothing, nothing) == 0.0 and float(iou_3d(nothing, nothing)) == 0.0


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
def test_overlap_is_that_of_clipped_polygons(dtype: torch.dtype, close: float) -> None:
    boxes = drawn(25, 0, dtype)
    found = bev_overlap(boxes, boxes)
    for i in range(25):
        for j in range(25):
            assert float(found[i, j]) == pytest.approx(clipped_area(boxes[i], boxes[j]), abs=close)


def test_overlap_is_that_of_opencv() -> None:
    boxes = drawn(30, 1)
    found = bev_overlap(boxes, boxes)
    shapes = [((x - 60, y), (a, b), math.degrees(yaw)) for x, y, _, a, b, _, yaw in boxes.tolist()]
    for i, one in enumerate(shapes):
        for j, other in enumerate(shapes):
            kind, points = cv2.rotatedRectangleIntersection(one, other)
            area = cv2.contourArea(cv2.convexHull(points)) if kind else 0.0
            assert float(found[i, j]) == pytest.approx(area, abs=2e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_box_is_itself_at_any_place_and_angle(seed: int) -> None:
    boxes = drawn(200, seed)
    flipped = boxes + torch.tensor([0, 0, 0, 0, 0, 0, math.pi])
    lying = boxes[:, [0, 1, 2, 4, 3, 5, 6]] + torch.tensor([0, 0, 0, 0, 0, 0, math.pi / 2])
    for same in (boxes, flipped, lying):
        assert torch.allclose(bev_iou(boxes, same).diagonal(), torch.ones(200), atol=1e-5)


def test_nearly_equal_boxes_overlap_nearly_wholly() -> None:
    """Sides that all but lie on each other are where rounding could drop an edge, or count it twice."""
    boxes = drawn(300, 7)
    for size in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3):
        moved = boxes + size * torch.randn(boxes.shape, generator=torch.Generator().manual_seed(1))
        assert (bev_iou(boxes, moved).diagonal() > 1 - 60 * size - 1e-5).all()


def test_overlap_turns_and_moves_with_its_boxes() -> None:
    boxes = drawn(30, 3, torch.float64)
    turn, move = 0.7, torch.tensor([5.0, -8.0], dtype=torch.float64)
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    other = torch.cat([boxes[:, :2] @ matrix.T + move, boxes[:, 2:6], boxes[:, 6:] + turn], 1)
    assert torch.allclose(bev_iou(boxes, boxes), bev_iou(other, other), atol=1e-9)
    assert torch.allclose(bev_iou(boxes, boxes), bev_iou(boxes, boxes).T, atol=1e-9)


def test_batches_are_pairs_frame_by_frame() -> None:
    boxes = drawn(24, 4).reshape(2, 3, 4, 7)
    found = bev_iou(boxes, boxes[..., :2, :])
    assert found.shape == (2, 3, 4, 2)
    assert torch.equal(found[1, 2], bev_iou(boxes[1, 2], boxes[1, 2, :2]))


def test_volumes_share_height_too() -> None:
    assert float(iou_3d(changed(), changed(z=-0.25))) == pytest.approx(1 / 3)  # half of the height
    assert float(iou_3d(changed(), changed(x=12.0, z=-0.25))) == pytest.approx(0.25 / 1.75)
    assert float(iou_3d(changed(), changed(z=0.5))) == 0.0  # one stands on the other
    assert float(iou_3d(changed(), changed(z=math.nan))) == 0.0


def test_overlap_has_the_gradient_of_its_change() -> None:
    pairs = drawn(6, 5, torch.float64), drawn(6, 6, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(overlap_of_pairs, pairs)


def slow_nms(boxes: torch.Tensor, score: torch.Tensor, most: float, label: torch.Tensor | None) -> set[int]:
    left, kept = sorted(range(len(boxes)), key=lambda i: -float(score[i])), set()
    while left:
        best = left.pop(0)
        kept.add(best)
        shared = bev_iou(boxes[best : best + 1], boxes)[0]
        left = [i for i in left if shared[i] <= most or (label is not None and label[i] != label[best])]
    return kept


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("most", [0.0, 0.1, 0.5])
def test_suppression_is_greedy_by_score(most: float, by_class: bool) -> None:
    batch = torch.stack([drawn(50, seed) for seed in range(4)])
    draw = torch.Generator().manual_seed(9)
    score, label = torch.rand(4, 50, generator=draw), torch.randint(0, 3, (4, 50), generator=draw)
    kept = nms(batch, score, most, label if by_class else None)
    for b in range(4):
        expected = slow_nms(batch[b], score[b], most, label[b] if by_class else None)
        assert set(kept[b].nonzero().flatten().tolist()) == expected


def test_suppression_lets_live_what_a_dropped_box_would_have_dropped() -> None:
    chain = torch.cat([changed(), changed(x=12.0), changed(x=14.0)])[None]
    assert nms(chain, torch.tensor([[0.9, 0.8, 0.7]]), 0.2).tolist() == [[True, False, True]]
    assert nms(chain, torch.tensor([[0.7, 0.9, 0.8]]), 0.2).tolist() == [[False, True, False]]


def test_suppression_keeps_the_first_of_equals_and_no_empty_slot() -> None:
    slots = torch.cat([changed(x=math.nan), changed(), changed()])[None]
    assert nms(slots, torch.tensor([[0.9, 0.5, 0.5]]), 0.5).tolist() == [[False, True, False]]
    assert nms(slots[:, :0], torch.zeros(1, 0), 0.5).shape == (1, 0)
