"""CenterNet: agreement with both published networks and their decode.

The records in ``published/recorded/centernet-*.npz``: names and shapes of the tensors of the published state, heads for
weights and input by the rule in ``published/rule.py``, and what the published decode makes of :func:`outputs_by_rule`
(left, top, right, bottom in pixels of the input, score, class, 100 of each image), the surest first.

- ``pose``: PoseResNet of https://github.com/xingyizhou/CenterNet at commit 4c50fd3a46bdf63dbf2082c5cbb3458d39579e6c,
  resnet_18 with head_conv 64; boxes of ``ctdet_decode``, times 4.
- ``mmdet``: configs/centernet/centernet_resnet18_140e_coco.py of https://github.com/open-mmlab/mmdetection, its neck,
  head and ``decode_heatmap`` with mmcv's ConvModule written out; the backbone is torchvision's in both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sfcore.detectors.base import Outputs
from sfcore.detectors.centernet import CenterNet
from sfcore.detectors.heat_maps import first_gaussian_radius, gaussian_radius, spread
from sfcore.detectors.registry import create, entry
from tests.detectors.published import rule

DETECTORS = {"pose": "centernet-r18-pose", "mmdet": "centernet-r18"}
CELLS = 128


def outputs_by_rule() -> Outputs:
    """Two images of some sure centres, a few of them side by side and equal, and many unsure ones."""
    random = rule.generator("centernet decode")
    hm = random.standard_normal((2, 80, CELLS, CELLS)).astype(np.float32) - 6
    for image in range(2):
        for _ in range(40):
            label, row, column = random.integers(0, (80, CELLS, CELLS - 1))
            hm[image, label, row, column] = random.uniform(-2, 4)
    hm[0, 7, 3, 5:7] = 2.5  # equal neighbours: both are boxes
    wh = np.exp(random.standard_normal((2, 2, CELLS, CELLS)) + 1).astype(np.float32)
    reg = random.uniform(-0.2, 1.2, (2, 2, CELLS, CELLS)).astype(np.float32)
    return {"hm": torch.from_numpy(hm), "wh": torch.from_numpy(wh), "reg": torch.from_numpy(reg)}


def published_weights(record: np.lib.npyio.NpzFile) -> dict[str, Tensor]:
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    return {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}


@pytest.mark.parametrize("code", DETECTORS)
def test_heads_are_the_published_ones_for_the_same_weights(code: str, tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / f"centernet-{code}.npz")
    torch.save({"epoch": 140, "state_dict": published_weights(record)}, tmp_path / "model.pth")
    with torch.no_grad():
        outputs = create(DETECTORS[code], tmp_path / "model.pth")(rule.images(1, 512, 512))
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=1e-4)
        assert record[head].std() > 0.03  # the record says something


@pytest.mark.parametrize("code", DETECTORS)
def test_boxes_are_the_published_ones(code: str) -> None:
    detector = entry(DETECTORS[code]).build()
    assert isinstance(detector, CenterNet)
    record = np.load(rule.RECORDED / f"centernet-{code}.npz")["boxes"]
    found, sure = detector.candidates(outputs_by_rule()), detector.decode(outputs_by_rule())
    for image, expected in enumerate(record):
        boxes = np.array(found.objects(image))[:, [0, 1, 2, 3, 5, 4]]
        assert len(boxes) == len(expected) == 100
        assert 20 < sure.counts()[image] == (expected[:, 4] > 0.3).sum() < 60
        order, published = (np.lexsort((each[:, 0].round(2), -each[:, 4].round(5))) for each in (boxes, expected))
        np.testing.assert_allclose(boxes[order], expected[published], atol=0.01)


def test_gaussians_are_the_published_ones() -> None:
    """Both radii of these boxes, and the map of the authors' draw_umich_gaussian for three of them."""
    record = np.load(rule.RECORDED / "centernet-pose.npz")
    height, width = torch.from_numpy(record["sizes"]).T
    np.testing.assert_allclose(first_gaussian_radius(height, width, 0.7), record["radius"], rtol=1e-6)
    corrected = np.load(rule.RECORDED / "centernet-mmdet.npz")["radius"]
    np.testing.assert_allclose(gaussian_radius(height, width, 0.3), corrected, rtol=1e-6)
    places = torch.tensor([[0, 0, 2, 3], [0, 0, 4, 6], [0, 0, 15, 19]])
    heat = spread((1, 1, 16, 20), places, torch.tensor([3, 2, 5]))
    np.testing.assert_allclose(heat[0, 0], record["heat"], atol=1e-6)
