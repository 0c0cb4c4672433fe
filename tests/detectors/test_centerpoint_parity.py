"""CenterPoint-Pillar: agreement with the published networks and post-process.

The records in ``published/recorded/centerpoint-*.npz`` come from https://github.com/tianweiy/CenterPoint at commit
3cf7d870537e287c99b43b68636ea392a5e6f519, configurations waymo_centerpoint_pp_two_pfn_stride1_3x and
nusc_centerpoint_pp_02voxel_two_pfn_10sweep, and (``…-openpcdet.npz``) from https://github.com/open-mmlab/OpenPCDet at
commit 8cacccec11db6f59bf6934600c9a175dae254806, centerpoint_pillar_1x of Waymo: the names and shapes of the tensors of
their states, their heads for weights by the rule in ``published/rule.py`` and :func:`sweep_by_rule` (cut into pillars
by the author's ``points_to_voxel``; fifth number of a point 0), and the boxes that the author's ``post_processing``
makes of :func:`outputs_by_rule`, in this project's convention. Its rotated IoU, which is CUDA code, was replaced by
OpenCV's intersection of rotated rectangles.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.detectors.centerpoint import CenterPoint
from sfcore.detectors.registry import create, entry
from sfcore.inputs.points import PointCloud
from tests.detectors.published import rule

NAMES = ("centerpoint-pillar-waymo", "centerpoint-pillar-nuscenes")


def sweep_by_rule(cloud: PointCloud, points: int = 20_000) -> np.ndarray:
    """(points, 4) of rings on the ground and dense heaps, some out of range, so that pillars have 1 to far over 20."""
    random = rule.generator(f"sweep {cloud.extent}")
    reach = cloud.extent[2] * 1.05
    ring = np.exp(random.uniform(np.log(3), np.log(reach * 1.2), points))
    angle = random.uniform(-np.pi, np.pi, points)
    found = np.stack([ring * np.cos(angle), ring * np.sin(angle)], 1)
    heap = random.uniform(-0.7 * reach, 0.7 * reach, (40, 2))[random.integers(0, 40, points)]
    found = np.where(random.random((points, 1)) < 0.4, heap + 0.15 * random.standard_normal((points, 2)), found)
    height = random.uniform(cloud.heights[0] - 0.2, cloud.heights[1] + 0.2, (points, 1))
    return np.concatenate([found, height, random.random((points, 1))], 1).astype(np.float32)


def outputs_by_rule(detector: CenterPoint, frames: int = 2, boxes: int = 40) -> Outputs:
    """Heads with boxes whose neighbouring cells say nearly the same, some of them overlapping, and noise."""
    random = rule.generator(f"boxes {detector.names}")
    rows, columns = detector.grid.size
    outputs = {
        head.name: 0.02 * random.standard_normal((frames, len(head.channels), rows, columns)) for head in detector.heads
    }
    outputs["hm"] += -6
    groups = len(detector.groups)
    for frame in range(frames):
        for _ in range(boxes * groups):
            kind = int(random.integers(len(detector.names)))
            group = int(np.searchsorted(np.cumsum(detector.groups), kind, side="right"))
            row, column = int(random.integers(1, rows - 1)), int(random.integers(1, columns - 1))
            angle = random.uniform(-np.pi, np.pi)
            near = np.s_[row - 1 : row + 2, column - 1 : column + 2]
            outputs["hm"][frame, kind][near] += random.uniform(3, 8)
            values = {
                "reg": random.random(2), "height": random.uniform(-2, 2, 1),
                "dim": np.log(random.uniform((3, 1.5, 1.4), (9, 2.6, 3))), "rot": (np.sin(angle), np.cos(angle)),
            }  # fmt: skip
            for name, value in values.items():
                for channel, each in enumerate(value):
                    outputs[name][frame, group * len(value) + channel][near] += each
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in outputs.items()}


def weights_by_rule(record: np.lib.npyio.NpzFile) -> dict[str, Tensor]:
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    return {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("record", [*NAMES, f"{NAMES[0]}-openpcdet"])
def test_heads_are_the_published_ones_for_the_same_weights(record: str, tmp_path: Path) -> None:
    recorded = np.load(rule.RECORDED / f"{record.replace('-pillar', '')}.npz")
    torch.save({"meta": {"epoch": 36}, "state_dict": weights_by_rule(recorded)}, tmp_path / "model.pth")
    detector = create(record.removesuffix("-openpcdet"), tmp_path / "model.pth")
    sweep = sweep_by_rule(detector.preprocessing)
    with torch.no_grad():
        outputs = detector(detector.preprocess([sweep]))
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), recorded[head], atol=1e-5)
        assert recorded[head].std() > 0.005  # the record says something


@pytest.mark.parametrize("name", NAMES)
def test_boxes_are_the_published_ones(name: str) -> None:
    recorded = np.load(rule.RECORDED / f"{name.replace('-pillar', '')}.npz")
    detector = entry(name).build()
    found = detector.decode(outputs_by_rule(detector))
    assert found.counts().tolist() == recorded["count"].tolist()
    expected = np.split(recorded["boxes"], np.cumsum(recorded["count"])[:-1])
    for frame, published in enumerate(expected):
        objects = np.stack(found.objects(frame))
        published = published[np.argsort(-published[:, 8], kind="stable")]
        np.testing.assert_allclose(objects[:, 8], published[:, 8], atol=1e-5)
        np.testing.assert_array_equal(objects[:, 7], published[:, 7])
        np.testing.assert_allclose(objects[:, :6], published[:, :6], atol=0.01)
        turned = np.angle(np.exp(1j * (objects[:, 6] - published[:, 6])))
        np.testing.assert_allclose(turned, 0, atol=1e-3)
