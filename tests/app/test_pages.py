"""The logic of each page, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfcore.quant.methods import methods
from sfcore.resources import sample_data
from sfcore.tasks.base import TASKS
from tests.app.conftest import Visit, errors, metric

PAGES = ("overview", "heads", "pixels", "curves", "layers", "tune", "compare", "deploy", "runs")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_a_first_visit(visit: Visit, page: str) -> None:
    app = visit(page, c_images="2", c_reruns="2")
    assert errors(app) == []
    assert app.title[0].value.lower() == page


def test_overview_finds_lanes_on_the_sample_road(visit: Visit) -> None:
    app, things = visit(), TASKS["lanes"].words.plural.capitalize()
    assert int(metric(app, f"{things} found")) >= 2
    assert any("heads" in title.value for title in app.subheader)


def test_a_wrong_folder_is_explained_and_undone(visit: Visit) -> None:
    app = visit(images="Folder", folder="/no/such/folder")
    assert "/no/such/folder" in errors(app)[0] and not app.exception
    app.button[0].click().run()
    assert errors(app) == [] and app.title[0].value == "Overview"


def test_a_folder_of_images_replaces_the_samples(visit: Visit) -> None:
    app = visit(images="Folder", folder=str(sample_data() / "scenes"), limit="3")
    assert errors(app) == []
    assert len(app.selectbox(key="image").options) == 3


def test_a_detector_without_weights_says_where_to_get_them(visit: Visit) -> None:
    app = visit(detector="lstr-r18s")
    assert "checkpoint" in errors(app)[0]
    assert any("github.com/liuruijin17/LSTR" in caption.value for caption in app.caption)


def test_a_checkpoint_of_another_detector_is_refused(visit: Visit, lstr_weights: Path) -> None:
    app = visit(detector="ganet-tiny", weights=str(lstr_weights))
    assert "is no checkpoint of this detector" in errors(app)[0] and not app.exception


def test_lstr_works_on_every_page_that_looks_into_heads(visit: Visit, lstr_weights: Path) -> None:
    for page in ("overview", "heads", "pixels", "curves"):
        app = visit(page, detector="lstr-r18s", weights=str(lstr_weights), c_images="2", c_reruns="2")
        assert errors(app) == [], page


def test_methods_come_from_the_registry(visit: Visit) -> None:
    app = visit("tune")
    assert app.selectbox(key="t_method").options == [method.title for method in methods().values()]


def test_bits_out_of_range_are_refused(visit: Visit) -> None:
    app = visit("tune", t_bits="W0A4")
    assert "0 weight bits are not possible" in errors(app)[0]


def test_pages_of_runs_say_what_to_do_while_there_is_none(visit: Visit) -> None:
    for page in ("compare", "runs", "tune"):
        assert any("run" in info.value.lower() for info in visit(page).info), page


def test_each_detector_keeps_its_own_weights(visit: Visit, lstr_weights: Path) -> None:
    app = visit(detector="lstr-r18s", weights=str(lstr_weights))
    app.selectbox(key="detector").set_value("ganet-tiny").run()
    assert errors(app) == [] and app.text_input(key="weights").value == ""
    app.selectbox(key="detector").set_value("lstr-r18s").run()
    assert errors(app) == [] and app.text_input(key="weights").value == str(lstr_weights)
