"""Exports of networks that shift and scale what they quantize: computed in the file, or folded into a norm."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch

from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.export.base import Subject
from sfcore.export.files import export
from sfcore.export.norm_folding import folded_into_norms
from sfcore.export.proto import load
from sfcore.quant import Scheme, quantize
from sfcore.quant.layers import QuantLayer
from sfcore.quant.transforms import with_usual
from tests.detectors.small import Small
from tests.export.conftest import ABOUT, departure, frames, simulated, small_images, unoptimised
from tests.export.test_encodings import rounded

LAST = "transformer.decoder.norm"
READERS = ("class_embed", "shared_embed.layers.0", "specific_embed.layers.0")


def subject(detector: Detector, images: torch.Tensor, scheme: str, *transforms: str) -> Subject:
    model = quantize(
        detector, Scheme.parse(scheme), [images], "minmax", "minmax", bias_correction=False,
        transforms=with_usual(transforms),
    )  # fmt: skip
    return Subject(detector, model, ABOUT, batch=len(images))


@pytest.fixture(scope="module")
def migrated() -> Subject:
    """lstr-tiny, the factors of whose norms are in their readers."""
    detector = create("lstr-tiny")
    return subject(detector, frames(detector), "W8A8-portable", "gamma-migration")


def test_files_compute_what_the_simulation_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small = Small().eval().requires_grad_(False)
    shifted = subject(small, small_images(), "W4A8-affine-qnn", "shift-scale", "token-clip")
    export(shifted, ["onnx", "encodings"], tmp_path)
    expected = simulated(shifted.needs_quantized(), small_images())
    assert departure(unoptimised(tmp_path / "model.onnx", small_images()), expected) < 1e-3
    content = json.loads((tmp_path / "model.encodings").read_text())
    graph = load(tmp_path / "model-encodings.onnx")
    onnx.save(rounded(graph, {each["name"]: each for each in content["encodings"]}), tmp_path / "rounded.onnx")
    assert departure(unoptimised(tmp_path / "rounded.onnx", small_images()), expected) < 1e-3


def test_a_norm_takes_what_all_its_readers_share(migrated: Subject) -> None:
    model = migrated.needs_quantized()
    folded, notes = folded_into_norms(model)
    assert notes[0] == f"{', '.join(READERS)}: what is shifted and scaled before rounding is folded into {LAST}"
    for name in READERS:
        layer, before = folded.get_submodule(name), model.get_submodule(name)
        assert isinstance(layer, QuantLayer) and isinstance(before, QuantLayer)
        assert layer.scale is None and before.scale is not None  # the model itself stays as it is
    norm = folded.get_submodule(LAST)
    assert isinstance(norm, torch.nn.LayerNorm)
    assert torch.allclose(norm.weight.abs(), torch.ones_like(norm.weight))  # γ / |γ|
    # Others have a shortcut beside their layers, and stay.
    assert len(notes) == 2 and "shift or scale what they read by operations of their own" in notes[1]
    linear = folded.get_submodule("transformer.encoder.layers.0.linear1")
    assert isinstance(linear, QuantLayer) and linear.scale is not None


def test_a_folded_file_computes_the_same(migrated: Subject, tmp_path: Path) -> None:
    written = export(migrated, ["onnx"], tmp_path)
    assert any(LAST in note for note in written.notes)
    images = frames(migrated.detector)
    expected = simulated(migrated.needs_quantized(), images)
    # A value that lies in the middle between two steps may fall to the other one.
    assert departure(unoptimised(tmp_path / "model.onnx", images), expected) < 0.02


def test_without_transforms_nothing_is_copied_or_said(migrated: Subject) -> None:
    torch.manual_seed(0)
    plain = subject(Small().eval().requires_grad_(False), small_images(), "W8A8-portable").needs_quantized()
    assert folded_into_norms(plain) == (plain, ())
