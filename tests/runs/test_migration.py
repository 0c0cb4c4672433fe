"""Runs of earlier versions keep the bits that they had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder


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


def test_a_newer_run_is_refused_by_its_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format 99"):
        folder(tmp_path / "run", "netwise", {}, form=99)
