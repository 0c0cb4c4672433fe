"""Comparing a run's models with full precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.results import compare, load_model


@pytest.fixture(scope="module")
def states(real_data: Path, lstr: Detector) -> dict[str, dict[str, Tensor]]:
    """A "calibrated" model of 4 bits and a "tuned" one of 16, both seen on the same images."""
    images = lstr.preprocess(read_images(find_images([real_data / "tusimple6"])))

    def state(scheme: str) -> dict[str, Tensor]:
        model = quantize(lstr, Scheme.parse(scheme), [images], "minmax", "minmax", bias_correction=False)
        return model.state_dict()

    return {"calibrated": state("W4A4"), "model": state("W16A16")}


@pytest.fixture
def folder(tmp_path: Path, spec: RunSpec, lstr_weights: Path, states: dict[str, dict[str, Tensor]]) -> RunFolder:
    folder = RunFolder.create(tmp_path / "run", replace(spec, weights=str(lstr_weights), scheme="W16A16"))
    for name, state in states.items():
        folder.save_tensors(name, state)
    return folder


def test_models_are_compared_with_full_precision_by_source(folder: RunFolder, real_data: Path) -> None:
    sources = [f"{real_data / 'road-mix'}[:3]", str(real_data / "tusimple6")]
    seen: list[tuple[int, int]] = []
    found = compare(folder, sources, limit=5, progress=lambda done, total: seen.append((done, total)))
    assert found.images == 5 and seen[-1] == (15, 15)
    known = found.sources[sources[1]].tuned
    assert known and (known.f1, known.images) == (1.0, 2)
    assert known.shift_px < 0.1 and known.distortion < 0.5
    assert {name: part.images for name, part in found.sources.items()} == {sources[0]: 3, sources[1]: 2}
    content = found.to_dict()
    assert {"f1", "distortion", "shift_px"} <= set(content["calibrated"]) & set(content["tuned"])


def test_a_run_that_is_not_done_has_no_tuned_model(folder: RunFolder, real_data: Path) -> None:
    folder.drop_tensors("model")
    assert compare(folder, [real_data / "tusimple6"], limit=1).tuned is None
    folder.drop_tensors("calibrated")
    with pytest.raises(InputError, match="not come that far"):
        compare(folder, [real_data / "tusimple6"], limit=1)


def test_a_model_of_another_detector_is_refused(folder: RunFolder) -> None:
    folder.save_tensors("model", {"conv1.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="does not fit lstr-r18s"):
        load_model(folder, "tuned")
