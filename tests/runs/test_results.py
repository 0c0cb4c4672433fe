"""Comparing a run's models with full precision."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfcore.datasets.images import content_hash, find_images, read_images
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.convert import convert
from sfcore.quant.cost import Profile
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, create_or_resume
from sfcore.runs.results import ModelName, compare, cost_of, load_model, recorded_cost
from sfcore.runs.shipped import shipped


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


@pytest.fixture
def begun(tmp_path: Path, spec: RunSpec) -> RunFolder:
    """A run of weights in a file of its own, which it has noted; its "calibrated" model was never calibrated."""
    weights = Path(shutil.copy(sample_data() / "weights" / "lstr-tiny.safetensors", tmp_path / "best.safetensors"))
    folder = RunFolder.create(tmp_path / "run", replace(spec, detector="lstr-tiny", weights=str(weights)))
    folder.save_tensors("calibrated", convert(create("lstr-tiny"), Scheme.parse("W4A4")).state_dict())
    folder.update(weights_hash=content_hash([weights]))
    return folder


def test_what_a_run_of_an_earlier_version_costs_is_counted_now(begun: RunFolder) -> None:
    expected = Profile.of(create("lstr-tiny")).cost(Scheme.parse("W4A4"))
    assert recorded_cost(begun) is None and cost_of(begun) == expected
    begun.update(scheme={**expected.to_dict(Scheme.parse("W4A4")), "bops": 7})
    assert cost_of(begun) == recorded_cost(begun) == replace(expected, bops=7)  # what is written down is believed


def train_on(weights: Path) -> None:
    """Replace a checkpoint by a later one of the same shapes."""
    state = load_file(weights)
    save_file({name: value + 0.001 for name, value in state.items()}, weights)


@pytest.mark.parametrize("which", ["full", "calibrated"])
def test_a_run_is_refused_while_other_weights_are_in_the_place_of_its_own(which: ModelName, begun: RunFolder) -> None:
    weights, kept = Path(begun.spec.weights or ""), Path(begun.spec.weights or "").read_bytes()
    load_model(begun, which)
    train_on(weights)
    with pytest.raises(InputError, match=r"best\.safetensors has changed since the run .* began with it: put the old"):
        load_model(begun, which)
    weights.write_bytes(kept)
    load_model(begun, which)


def test_a_run_is_not_gone_on_with_by_other_weights(begun: RunFolder) -> None:
    spec = replace(begun.spec, images=(str(sample_data() / "scenes"),), options={})
    begun.update(spec=spec.to_dict(), status="done")
    assert create_or_resume(begun.path, spec).status == "done"
    train_on(Path(spec.weights or ""))
    with pytest.raises(InputError, match="has changed since the run"):
        create_or_resume(begun.path, spec)


def test_other_weights_of_the_same_size_are_told_by_their_content(begun: RunFolder) -> None:
    weights = Path(begun.spec.weights or "")
    size = weights.stat().st_size
    begun.check_weights()
    train_on(weights)
    weights.write_bytes(weights.read_bytes()[:size].ljust(size))
    with pytest.raises(InputError, match="has changed since"):
        begun.check_weights()


def test_weights_that_were_touched_and_not_changed_are_the_same(begun: RunFolder) -> None:
    begun.check_weights()
    Path(begun.spec.weights or "").touch()
    begun.check_weights()


def test_a_run_that_has_noted_no_weights_opens_with_those_there_are(begun: RunFolder) -> None:
    record = begun.record()
    del record["weights_hash"]
    begun._write_record(record)
    train_on(Path(begun.spec.weights or ""))
    load_model(begun, "full")


def test_a_run_whose_weights_are_gone_says_where_they_were(begun: RunFolder) -> None:
    Path(begun.spec.weights or "").unlink()
    with pytest.raises(InputError, match=r"no checkpoint .*best\.safetensors"):
        load_model(begun, "full")


def test_the_run_that_ships_is_of_the_weights_that_ship() -> None:
    tour = RunFolder.open(sample_data() / "tour")
    assert tour.record()["weights_hash"]
    tour.check_weights()


def test_models_are_compared_with_full_precision_by_source(folder: RunFolder, real_data: Path) -> None:
    sources = [f"{real_data / 'road-mix'}[:3]", str(real_data / "tusimple6")]
    seen: list[tuple[int, int]] = []
    found = compare(folder, sources, limit=5, progress=lambda done, total: seen.append((done, total)))
    assert found.images == 5 and seen[-1] == (15, 15)
    known = found.sources[sources[1]].tuned
    assert known and (known.f1, known.images) == (1.0, 2)
    assert known.shift < 0.1 and known.distortion < 0.5
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


def test_the_run_that_ships_says_what_its_scheme_costs() -> None:
    run = shipped()
    counted = Profile.of(load_model(run, "full"), run.spec.transforms).cost(run.spec.full_scheme())
    assert recorded_cost(run) == counted
