"""Runs of earlier versions keep the bits that they had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.quant.convert import convert
from sfcore.quant.quantizers import quantizers
from sfcore.quant.scheme import Scheme
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, create_or_resume
from sfcore.runs.migration import migrated
from sfcore.runs.results import load_model
from sfcore.runs.shipped import shipped


def folder(path: Path, method: str, options: dict[str, object], form: int = 1) -> RunFolder:
    """A run as version 0.1.0 wrote it."""
    path.mkdir()
    spec = {"detector": "lstr-tiny", "images": ["frames"], "scheme": "W4A4", "method": method, "options": options}
    record = {"format": form, "spec": spec, "versions": {"sfcore": "0.1.0"}, "status": "done", "created": 0.0}
    (path / "run.json").write_text(json.dumps(record))
    return RunFolder.open(path)


@pytest.mark.parametrize(
    ("method", "options", "scheme"),
    [
        ("best", {}, "W4A4,heads=16"), ("calibrate", {"wide_heads": False}, "W4A4"),
        ("netwise", {"lam": 2.0}, "W4A4"), ("qdrop", {"wide_heads": True}, "W4A4,heads=16"),
    ],
)  # fmt: skip
def test_what_the_method_decided_is_in_the_scheme(
    method: str, options: dict[str, object], scheme: str, tmp_path: Path
) -> None:
    run = folder(tmp_path / "run", method, options)
    assert run.spec.scheme == scheme and "wide_heads" not in run.spec.options
    assert dict(run.spec.options) == {name: value for name, value in options.items() if name != "wide_heads"}
    run.update(status="stopped")  # written in the present form, it is not migrated again
    assert json.loads((run.path / "run.json").read_text())["format"] == 2
    assert RunFolder.open(run.path).spec.scheme == scheme


def test_models_are_loaded_with_the_bits_that_they_were_made_with(tmp_path: Path) -> None:
    detector = create("scnn-tiny")
    made = convert(detector, Scheme.parse("W4A4,heads=16"))
    old = folder(tmp_path / "run", "best", {})
    old.update(spec=old.record()["spec"] | {"detector": "scnn-tiny"})
    old.save_tensors("calibrated", made.state_dict())
    loaded = load_model(old, "calibrated")
    bits = {name: quantizer.bits for name, quantizer in quantizers(made)}
    assert {name: quantizer.bits for name, quantizer in quantizers(loaded)} == bits and 16 in bits.values()


def test_an_old_run_is_gone_on_with_whatever_the_case_of_its_bits(tmp_path: Path) -> None:
    scenes = str(sample_data() / "scenes")
    spec = RunSpec("lstr-tiny", (scenes,), "W4A4,heads=16", "calibrate", limit=1)
    old = folder(tmp_path / "run", "calibrate", {})
    old.update(spec=spec.to_dict() | {"scheme": "w4a4,heads=16"})
    assert create_or_resume(old.path, spec).spec.full_scheme() == spec.full_scheme()


def test_the_run_that_ships_is_one_without_rules() -> None:
    assert shipped().record()["format"] == 2 and shipped().spec.scheme == "W4A4-tensor"


def test_a_record_without_its_specification_is_left_to_whoever_reads_it() -> None:
    assert migrated({"format": 1}) == {"format": 2, "spec": {"options": {}}}


def test_a_newer_run_is_refused_by_its_format_and_who_wrote_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"format 99, which sfcore 0\.1\.0 wrote.*formats 1 and 2: update sfcore"):
        folder(tmp_path / "run", "netwise", {}, form=99)
