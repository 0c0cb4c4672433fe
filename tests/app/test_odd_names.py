"""Images under names that are no text, on pages and in reports."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app import sources
from sfcore.present.report import report, source_of
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from tests.app.conftest import Visit, errors

SCENE = sample_data() / "scenes" / "00-curve.jpg"
GBK = os.fsdecode("道路.jpg".encode("gbk"))
SHOWN = r"\xb5\xc0·.jpg"  # the last two bytes of the four happen to be UTF-8 for "·"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture under a name of GBK, and one under a name of HTML that has a line end."""
    path = tmp_path / "frames.jpg"  # a folder, though it is not called like one
    path.mkdir()
    for name in (GBK, "<b>\n.jpg"):
        shutil.copy(SCENE, path / name)
    return path


@pytest.mark.parametrize("page", ["overview", "heads", "pixels", "curves", "tune"])
def test_pages_show_images_whose_names_are_no_text(visit: Visit, folder: Path, page: str) -> None:
    app = visit(page, images="Folder", folder=str(folder), image=SHOWN)
    assert errors(app) == []
    assert app.selectbox(key="image").options == [r"<b>\n.jpg", SHOWN]
    assert app.selectbox(key="image").value == SHOWN


def test_compare_lists_images_whose_names_are_no_text(visit: Visit, folder: Path, run: RunFolder) -> None:
    app = visit("compare", images="Folder", folder=str(folder), at=SHOWN)
    assert errors(app) == []
    assert f"**{SHOWN}**" in [markdown.value for markdown in app.markdown]


def test_a_report_names_images_whose_names_are_no_text(run: RunFolder, folder: Path) -> None:
    html = report([run], source_of(str(folder)))
    html.encode()
    assert SHOWN in html and r"&lt;b&gt;\n.jpg" in html and "<b>\n.jpg" not in html


def test_a_dataset_that_names_no_image_says_so(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_bytes(bytes(99))
    app = visit(images="Folder", folder=str(tmp_path))
    assert errors(app) == ["there is no image to show: choose other images, or see above what is wrong with these"]
    assert "filled with NUL characters" in app.warning[0].value


def test_a_folder_called_like_an_image_keeps_its_labels(tmp_path: Path) -> None:
    (tmp_path / "scenes.jpg").mkdir()
    (tmp_path / "scenes.jpg" / "labels.json").write_text('[{"file": "a.jpg", "lanes": []}]')
    assert sources.opened(str(tmp_path / "scenes.jpg"), None, 0.0).metric == "culane"
