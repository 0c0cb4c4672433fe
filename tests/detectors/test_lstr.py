"""LSTR against the published checkpoint's recorded outputs, and its curve by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sfcore.detectors.base import Detector
from sfcore.detectors.checkpoints import load_weights
from sfcore.detectors.lstr import LSTR, lstr_r18s
from sfcore.detectors.registry import create
from sfcore.errors import InputError


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
    state["backbone.conv1.weight"] = state.pop("conv1.weight")
    state["class_embed.weight"] = torch.zeros(3, 32)
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "other.pkl")
    with pytest.raises(InputError) as caught:
        load_weights(lstr_r18s(), tmp_path / "other.pkl")
    said = str(caught.value)
    assert "1 missing: conv1.weight" in said
    assert "1 unexpected: backbone.conv1.weight" in said
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
