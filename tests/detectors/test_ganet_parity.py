"""GANet: agreement with the published network and post-process.

The records in ``published/recorded/ganet-*.npz`` come from https://github.com/Wolfwjs/GANet at commit
8685a61fdccdf20a2846a99ba1f83135b772ba97, configurations culane/final_exp_res18_s8 and final_exp_res34_s8: the names
and shapes of the tensors of its state, its heads for weights and input by the rule in ``published/rule.py``, and the
lanes that ``ktdet_decode_fast`` and ``PostProcessor`` (thresholds of culane/test_common_s8) make of
:func:`outputs_by_rule`, as x and y of each keypoint in pixels of the input. mmcv's deformable convolution was replaced
by a double-precision one that gathers the four neighbours of each point.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.detectors.base import Outputs
from sfcore.detectors.ganet import ganet_small
from sfcore.detectors.registry import create
from sfcore.tasks.lanes import Lanes
from sfcore.tasks.lanes.rows import off_image_to_nan
from tests.detectors.published import rule

BATCH, HEIGHT, WIDTH = 6, 40, 100


def outputs_by_rule(level: float = 0.15) -> Outputs:
    """Roads of up to five lanes of different height that keypoints mark in every row of cells, with noise."""
    random = rule.generator("ganet decode")
    noise = {name: level * random.standard_normal((BATCH, n, HEIGHT, WIDTH)) for name, n in
             (("cpts", 1), ("kpts", 1), ("offset", 2), ("error", 2))}  # fmt: skip
    outputs = {name: value.astype(np.float32) for name, value in noise.items()}
    outputs["kpts"] -= 4
    outputs["error"] /= 2
    for image in range(BATCH):
        far = random.uniform(40, 60)
        for near in np.linspace(8, 92, image) + random.uniform(-4, 4, image):
            top = int(random.integers(5, 25))
            foot = near, HEIGHT - 0.5
            for row in range(top, HEIGHT):
                x = far + (near - far) * ((row + 0.5) / HEIGHT) ** 1.5
                column = int(x)
                outputs["kpts"][image, 0, row, column] += 7
                outputs["error"][image, :, row, column] += (x - column, 0.5)
                outputs["offset"][image, :, row, column] += (foot[0] - column, foot[1] - row)
    return {name: torch.from_numpy(value) for name, value in outputs.items()}


@pytest.mark.parametrize("size", ["small", "mid"])
def test_heads_are_the_published_ones_for_the_same_weights(size: str, tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / f"ganet-{size}.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    weights = {key: rule.values(key, shape) for key, shape in zip(record["keys"].tolist(), shapes, strict=True)}
    torch.save({"meta": {"epoch": 60}, "state_dict": weights}, tmp_path / "model.pth")
    with torch.no_grad():
        outputs = create(f"ganet-{size}", tmp_path / "model.pth")(rule.images(1, 320, 800))
    for head, value in outputs.items():
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=1e-4)
        assert record[head].std() > 0.1  # the record says something


def test_lanes_are_the_published_ones() -> None:
    record = np.load(rule.RECORDED / "ganet-small.npz")
    detector = ganet_small()
    lanes = detector.decode(outputs_by_rule())
    assert lanes.present.sum(1).tolist() == record["count"].tolist() and {0, 5} <= set(record["count"])
    points = record["points"] * (1640 / 800, 1) + (0, 270)
    published = iter(np.split(points, np.cumsum(record["length"])[:-1]))
    lines = [[next(published) for _ in range(count)] for count in record["count"]]
    expected = off_image_to_nan(Lanes.from_polylines(lines, detector.rows, detector.frame))
    for found, lane in zip(lanes.x[lanes.present], expected.x[expected.present], strict=True):
        torch.testing.assert_close(found, lane, atol=0.05, rtol=0, equal_nan=True)
