"""Names that others gave, where pages show Markdown and in tables that are saved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from app import displays
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.serving import Serving
from tests.app.conftest import Visit, errors

ELSEWHERE = "![x](http:evil.example)"  # a picture that browsers would ask evil.example for


@pytest.fixture
def root(tmp_path: Path, runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in Serving((str(tmp_path / "data"),)).environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_no_name_of_a_file_or_in_a_message_is_a_picture_from_elsewhere(root: Path, visit: Visit) -> None:
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", root / f"{ELSEWHERE}.jpg")
    (root / "b[x](http:evil.example).jpg").write_bytes(b"no image")
    shown: list[str] = []
    for folder in (str(root), f"/etc/{ELSEWHERE}"):
        app = visit(images="Folder", folder=folder)
        shown += [*errors(app), *(each.value for each in [*app.markdown, *app.caption, *app.warning])]
    assert any("evil.example" in each for each in shown)  # of the folder that is refused, at least
    assert not [each for each in shown if "](http:evil" in each]


def test_a_runs_error_is_shown_without_a_link(root: Path, visit: Visit, run: RunFolder) -> None:
    run.update(status="failed", error=f"the image {ELSEWHERE} cannot be read")
    assert errors(visit("tune", run=run.name)) == [r"the image ![x]\(http:evil.example) cannot be read"]


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1"])
def test_no_name_in_a_saved_table_is_a_formula(name: str) -> None:
    rows = displays.csv(pd.DataFrame({"model": [name, "fine"], name: [-1.5, 2.0]})).splitlines()
    assert rows[1].lstrip('"').startswith("'") and rows[1].endswith(",-1.5") and rows[2] == "fine,2.0"
    assert f"'{name}" in rows[0]
