"""Point clouds as inputs: cut, padded, changed for tuning, and seen from above."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.datasets.images import find_images
from sfcore.errors import InputError
from sfcore.inputs.points import PointCloud

SPEC = PointCloud((-8.0, -4.0, 8.0, 4.0), (-2.0, 2.0), 0.5, most=6)


def sweep(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_the_plane_has_a_row_for_each_y_and_a_column_for_each_x() -> None:
    assert SPEC.size == (16, 32)
    assert SPEC.described() == "32 × 16 pillars"
    with pytest.raises(ValueError, match="whole number of pillars"):
        PointCloud((0.0, 0.0, 8.0, 8.1), (-2.0, 2.0), 0.5)


def test_points_out_of_range_are_cut_and_the_rest_is_padded() -> None:
    inside = [(-8.0, -4.0, -2.0, 0.1), (7.9, 3.9, 1.9, 0.2)]
    outside = [
        (8.0, 0, 0, 1),
        (0, 0, 0, math.nan),
        (math.nan, 0, 0, 1),
        (0, 4.0, 0, 1),
        (0, 0, 2.0, 1),
        (-8.1, 0, 0, 1),
    ]
    stacked = SPEC.stack([sweep(inside[0], *outside, inside[1])])
    assert stacked.shape == (1, 4, 1, 6) and stacked.dtype == torch.float32
    assert stacked[0, :, 0, :2].T.numpy() == pytest.approx(np.array(inside))
    assert stacked[0, :, 0, 2:].isnan().all()


def test_of_too_many_points_evenly_many_are_left_out() -> None:
    points = np.zeros((12, 4), np.float32)
    points[:, 0] = np.arange(12) / 2
    assert (SPEC.stack([points])[0, 0, 0] * 2).tolist() == [0, 2, 4, 6, 8, 10]


def test_a_sweep_with_no_point_in_range_is_refused_with_the_range(tmp_path: Path) -> None:
    far = sweep((50, 0, 0, 0))
    with pytest.raises(InputError, match=r"none of its 1 points in range, x -8 to 8, y -4 to 4, z -2 to 2 m"):
        SPEC.stack([far])
    path = tmp_path / "far.bin"
    path.write_bytes(far.tobytes())
    with pytest.raises(InputError, match=r"far\.bin has none of its 1 points in range"):
        SPEC.read(path)


@pytest.mark.parametrize("frame", [np.zeros((3, 3), np.float32), np.zeros((9, 9, 3), np.uint8), [[0, 0, 0, 0]]])
def test_what_is_no_sweep_is_refused(frame: object) -> None:
    with pytest.raises(InputError, match="must be"):
        SPEC.stack([frame])  # type: ignore[list-item]


def test_rendered_sweeps_are_read_and_rendered_images_refused() -> None:
    spec = PointCloud((-40.0, -40.0, 40.0, 40.0), (-3.0, 2.0), 0.4)
    frame = spec.read(Path("sweeps:3,seed=1,beams=32/000002"))
    assert frame.shape[1] == 4 and len(frame) > 10_000
    with pytest.raises(InputError, match=r"scenes:2/000001 has shape \(360, 640, 3\)"):
        spec.read(Path("scenes:2/000001"))


def test_what_is_rendered_for_it_can_be_read() -> None:
    frames = find_images([f"{SPEC.rendered}:2,seed=1"], formats=SPEC.formats)
    assert [str(frame) for frame in frames] == ["sweeps:2,seed=1/000000", "sweeps:2,seed=1/000001"]


def test_examples_are_points_in_range_and_some_padding() -> None:
    example = SPEC.example(3, torch.Generator().manual_seed(0))
    spec = PointCloud(SPEC.extent, SPEC.heights, SPEC.pillar, most=64)
    example = spec.example(3, torch.Generator().manual_seed(0))
    padded = example.isnan().all(1)
    assert example.shape == (3, 4, 1, 64) and padded.sum() == 3 * 8
    assert (spec.inside(example) == ~padded).all()
    assert not spec.example(2).any()


def test_changed_copies_keep_ranges_heights_and_light_and_move_what_they_hold() -> None:
    spec = PointCloud((-8.0, -8.0, 8.0, 8.0), (-2.0, 2.0), 0.5, most=400)
    inputs = spec.example(40, torch.Generator().manual_seed(0)) * torch.tensor([0.5, 0.5, 0.5, 1]).reshape(4, 1, 1)
    before = inputs.clone()
    changed = spec.augment(inputs, torch.Generator().manual_seed(1))
    assert torch.equal(inputs.nan_to_num(9), before.nan_to_num(9))
    assert torch.equal(changed.isnan(), inputs.isnan())  # nothing is turned out of the range here
    scale = (changed[:, :2].norm(dim=1) / inputs[:, :2].norm(dim=1)).nanmean(-1)
    assert 0.95 <= scale.min() < 0.97 and 1.03 < scale.max() <= 1.05
    assert torch.equal(changed[:, 3].nan_to_num(9), inputs[:, 3].nan_to_num(9))
    turned = torch.view_as_complex(changed[:, :2, 0].nan_to_num(0).movedim(1, -1).contiguous())
    original = torch.view_as_complex(inputs[:, :2, 0].nan_to_num(0).movedim(1, -1).contiguous())
    flipped = (turned * original).sum(1).abs() > (turned * original.conj()).sum(1).abs()  # a mirror turns against
    angle = torch.where(flipped[:, None], turned * original, turned * original.conj())[:, 0].angle()
    assert 10 < flipped.sum() < 30 and angle.abs().max() <= math.pi / 4 + 1e-4 and angle.abs().max() > 0.6
    assert torch.equal(spec.augment(inputs, torch.Generator(), 0).nan_to_num(9), inputs.nan_to_num(9))


def test_what_is_turned_out_of_the_range_becomes_padding() -> None:
    inputs = torch.full((1, 4, 1, 6), math.nan)
    inputs[0, :, 0, 0] = torch.tensor([6.0, 1.0, 0.0, 0.5])
    changed = torch.cat([SPEC.augment(inputs, torch.Generator().manual_seed(seed)) for seed in range(30)])
    inside = SPEC.inside(changed)[:, 0, 0]
    assert 0 < inside.sum() < 30 and changed[~inside].isnan().all()


def test_on_the_canvas_x_goes_right_and_y_goes_up() -> None:
    frame = sweep((6.2, 3.2, 1.0, 0.5))
    canvas = SPEC.canvas(frame)
    assert canvas.shape == (*SPEC.size_of(frame), 3) == (640, 1280, 3)
    empty = SPEC.canvas(sweep((6.2, 3.2, 1.0, 0.5))[:0])
    row, column = np.unravel_index(np.abs(canvas.astype(int) - empty).sum(2).argmax(), canvas.shape[:2])
    assert (column / 80 - 8, 4 - row / 80) == pytest.approx((6.2, 3.2), abs=0.05)
    plane = np.zeros(SPEC.size)
    plane[14, 28] = 1  # the pillar of that point
    laid = SPEC.laid(plane)
    assert np.argwhere(laid).tolist() == [[row // 40, column // 40]]
    assert np.array_equal(SPEC.laid(laid), plane)
