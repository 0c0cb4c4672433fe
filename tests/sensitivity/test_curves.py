"""Noise-score curves: measured, read, saved."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from sfcore.datasets.images import read_images
from sfcore.detectors import registry
from sfcore.detectors.base import Outputs
from sfcore.errors import InputError
from sfcore.sensitivity import curves as module
from sfcore.sensitivity.curves import Curve, Curves, CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import root_mean_square, unit_noise
from sfcore.tasks.lanes import distortion

FEW = CurveSettings(images=4, levels=3, reruns=5, low=0.002, high=0.02)


def curve(noise: list[float], score: list[float]) -> Curve:
    values = np.asarray(score)
    return Curve("head", np.asarray(noise), values, values, values)


def test_small_shifts_score_their_mean_size(detector, outputs):
    """Two vertical lanes moved by N(0, σ) px score 2 · E|N(0, σ)| = 2 σ √(2/π)."""
    settings = CurveSettings(images=6, levels=2, reruns=400, low=0.001, high=0.005)
    found = noise_score_curves(detector, outputs, settings).curves["place"]
    sigma = settings.noise * root_mean_square(outputs["place"])
    assert found.score == pytest.approx(2 * sigma * math.sqrt(2 / math.pi), rel=0.05)
    assert found.parts["misalignment"] == pytest.approx([0.0, 0.0])
    # The sum of two half-normal variables: its 5 % and 95 % points, found by simulation.
    draws = np.abs(np.random.default_rng(0).normal(size=(200_000, 2))).sum(1)
    assert found.low == pytest.approx(sigma * np.quantile(draws, 0.05), rel=0.12)
    assert found.high == pytest.approx(sigma * np.quantile(draws, 0.95), rel=0.12)


def test_heads_without_effect_score_zero(detector, outputs):
    found = noise_score_curves(detector, outputs, FEW).curves
    assert not found["idle"].score.any() and found["idle"](0.01) == 0
    assert not found["logit"].score.any()  # ±2 % of the RMS crosses no threshold
    assert found["place"].score.all()


def test_heads_that_decode_does_not_read_score_what_noise_on_them_does(detector, outputs):
    measured = noise_score_curves(detector, outputs, FEW)
    detector.heads = tuple(replace(head, decoded=head.name != "idle") for head in detector.heads)
    known = noise_score_curves(detector, outputs, FEW)
    for head, curve in measured.curves.items():
        assert known.curves[head].to_json() == curve.to_json()


def plain_loop(detector, outputs, settings: CurveSettings, head: str) -> np.ndarray:
    """(levels, images, reruns): one lane set at a time, noise drawn in the documented order."""
    rms = root_mean_square(outputs[head])
    generator = torch.Generator().manual_seed(settings.seed)
    scores = np.zeros((settings.levels, len(outputs[head]), settings.reruns))
    for i in range(len(outputs[head])):
        unit = unit_noise(settings.kind, settings.reruns, outputs[head].shape[1:], generator)
        one = {name: value[i : i + 1] for name, value in outputs.items()}
        for n, level in enumerate(settings.noise):
            for r in range(settings.reruns):
                noisy = {**one, head: one[head] + float(level) * rms * unit[r]}
                scores[n, i, r] = distortion(detector.decode(one), detector.decode(noisy)).score
    return scores


@pytest.mark.parametrize("head", ["place", "logit"])
def test_equals_a_loop_over_single_lane_sets(detector, outputs, head):
    settings = CurveSettings(images=6, levels=3, reruns=4, low=0.01, high=1.0, seed=5)
    found = noise_score_curves(detector, outputs, settings).curves[head]
    scores = plain_loop(detector, outputs, settings, head)
    assert found.score == pytest.approx(scores.mean((1, 2)), rel=1e-4)
    assert found.images == pytest.approx(scores.mean(2), rel=1e-4)
    assert found.high == pytest.approx(np.quantile(scores.reshape(3, -1), 0.95, axis=1), rel=1e-4)
    assert sum(found.parts.values()) == pytest.approx(found.score)


@pytest.mark.parametrize("sets", [1, 7, 40, 10_000])
def test_grouping_changes_nothing(detector, outputs, monkeypatch, sets):
    expected = noise_score_curves(detector, outputs, FEW)
    monkeypatch.setattr(module, "MOST_SETS", {"cpu": sets})
    found = noise_score_curves(detector, outputs, FEW)
    for head, values in expected.curves.items():
        assert found.curves[head].images == pytest.approx(values.images, rel=1e-5)


def twelve_upright_lanes() -> Outputs:
    """GANet outputs of twelve lanes, all as long, more than its decode keeps."""
    height, width = 32, 48
    kpts, offset = torch.full((1, 1, height, width), -8.0), torch.zeros(1, 2, height, width)
    kpts[..., 2::4] = 8.0
    offset[:, 1] = height - 1 - torch.arange(height).float().unsqueeze(-1)
    return {"cpts": kpts, "kpts": kpts, "offset": offset, "error": torch.zeros_like(offset)}


def test_ganet_decodes_a_set_alike_alone_and_among_others():
    """Which of equally long lanes are kept must not depend on the batch: the left ones are."""
    detector = registry.entry("ganet-tiny").build().eval()
    one = twelve_upright_lanes()
    alone = detector.decode(one)
    assert alone.x[0, :, -10].tolist() == pytest.approx([(2 + 4 * k) * 640 / 48 for k in range(8)], abs=0.1)
    many = {name: value.repeat(20, 1, 1, 1) for name, value in one.items()}
    many["kpts"][1:] += 9 * torch.randn(many["kpts"][1:].shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(detector.decode(many).x[:1], alone.x, equal_nan=True)


def test_big_outputs_go_in_small_chunks(detector, outputs, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", {"cpu": 1})
    assert module._chunk(outputs, FEW) == (1, 1)


def test_seed_decides(detector, outputs):
    a, b = (noise_score_curves(detector, outputs, FEW).curves["place"].score for _ in range(2))
    other = CurveSettings(images=4, levels=3, reruns=5, low=0.002, high=0.02, seed=1)
    assert (a == b).all()
    assert (a != noise_score_curves(detector, outputs, other).curves["place"].score).any()


def test_images_are_drawn_and_rms_is_theirs(detector, outputs):
    found = noise_score_curves(detector, outputs, FEW, about={"detector": "posts"}).meta
    assert len(found["images"]) == 4 and set(found["images"]) < set(range(6))
    assert found["rms"]["place"] == pytest.approx(root_mean_square(outputs["place"][found["images"]]))
    assert found["detector"] == "posts" and found["settings"]["reruns"] == 5


def test_progress_rises_to_the_total(detector, outputs):
    calls: list[tuple[int, int]] = []
    noise_score_curves(detector, outputs, FEW, lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {3 * 4 * 3 * 5}
    assert all(a[0] < b[0] for a, b in pairwise(calls)) and calls[-1][0] == calls[-1][1]


def test_replay_needs_recorded_errors(detector, outputs):
    settings = CurveSettings(images=4, levels=2, reruns=3, kind="replay")
    with pytest.raises(InputError, match="replay needs"):
        noise_score_curves(detector, outputs, settings)
    errors = {name: torch.randn_like(value) for name, value in outputs.items()}
    assert noise_score_curves(detector, outputs, settings, errors=errors).curves["place"].score.all()


def test_saved_curves_come_back_equal(detector, outputs, tmp_path):
    made = noise_score_curves(detector, outputs, FEW, about={"images_hash": "abc"})
    made.save(tmp_path / "run")
    read = Curves.load(tmp_path / "run")
    assert read.meta == made.meta and list(read.curves) == list(made.curves)
    for head, values in made.curves.items():
        assert read.curves[head].to_json() == values.to_json()
        assert read.curves[head](0.007) == values(0.007)
    table = (tmp_path / "run" / "curves.csv").read_text().splitlines()
    assert table[0] == "head,noise,score,low,high,bend,spike,misalignment"
    assert len(table) == 1 + 3 * FEW.levels
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["curves.csv", "curves.json"]


def test_missing_or_damaged_curves_are_named(tmp_path):
    with pytest.raises(InputError, match="no curves"):
        Curves.load(tmp_path)
    (tmp_path / "curves.json").write_text('{"curves": {')
    with pytest.raises(InputError, match="damaged"):
        Curves.load(tmp_path)


def test_interpolation_by_hand():
    line = curve([0.1, 0.2, 0.4], [1.0, 2.0, 4.0])
    assert line(0.0) == 0 and line(-1.0) == 0
    assert line(0.05) == pytest.approx(0.5) and line(0.3) == pytest.approx(3.0)
    assert line(99.0) == pytest.approx(4.0)


def test_interpolation_never_falls():
    bumpy = curve([0.001, 0.01, 0.1, 0.3, 1.0], [0.5, 3.0, 9.0, 12.0, 6.0])
    values = bumpy.at(np.geomspace(1e-4, 3, 500))
    assert (np.diff(values) >= -1e-12).all()
    assert bumpy(0.01) == pytest.approx(3.0)
    assert bumpy(1.0) == pytest.approx(9.0)  # the last three pool to their mean


BAD_SETTINGS = ({"images": 0}, {"levels": 1}, {"reruns": 0}, {"low": 0.0}, {"low": 2.0}, {"kind": "x"})


@pytest.mark.parametrize("bad", BAD_SETTINGS)
def test_bad_settings(bad):
    with pytest.raises(InputError):
        CurveSettings(**bad)


def test_no_images(detector, outputs):
    with pytest.raises(InputError, match="no images"):
        noise_score_curves(detector, {name: value[:0] for name, value in outputs.items()}, FEW)


def test_curve_parameters_are_the_sensitive_heads_of_the_published_lstr(lstr, real_data):
    """A hundredth of their RMS on the curve parameters moves lanes by pixels; on the logits it moves nothing."""
    images = read_images(sorted((real_data / "highway-960x540").glob("*.jpg"))[::60])
    with torch.no_grad():
        outputs = lstr(lstr.preprocess(images))
    found = noise_score_curves(lstr, outputs, CurveSettings(levels=4, reruns=8)).curves
    at = {head: found[head](0.01) for head in found}
    assert min(at["shared"], at["own"]) > 10 * at["extent"] > 10 * at["logits"]
    assert at["shared"] > 3
