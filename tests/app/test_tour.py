"""The guided tour: six steps without typing, and the view for a projector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from app.tour import Tour, how_few
from benchmarks.browser import CHROMIUM, chromium, serving
from sfcore.datasets.images import content_hash
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from tests.app.conftest import Visit, errors

STEPS = ("Broken", "Head", "Pixels", "Curves", "Tuned", "Repaired")


def test_next_leads_through_six_steps_and_back_returns(visit: Visit) -> None:
    app, titles = visit("tour"), []
    for step in STEPS:
        assert errors(app) == [] and app.segmented_control(key="step").value == step
        titles.append(app.title[0].value)
        if step != STEPS[-1]:
            app.button(key="next").click().run()
    assert len(set(titles)) == len(STEPS)
    assert app.button(key="next").disabled
    app.button(key="back").click().run()
    assert app.segmented_control(key="step").value == STEPS[-2]


def test_a_link_opens_a_step_and_an_unknown_one_the_first(visit: Visit) -> None:
    assert visit("tour", step="Curves").segmented_control(key="step").value == "Curves"
    app = visit("tour", step="Nowhere")
    assert errors(app) == [] and app.segmented_control(key="step").value == STEPS[0]


def test_the_tour_needs_nothing_of_the_sidebar(visit: Visit) -> None:
    app = visit("tour", images="Folder", folder="/no/such/folder")
    assert app.title[0].value and not app.exception


def test_the_story_is_true() -> None:
    shown = Tour.open()
    scores = shown.scores()
    worst = next(iter(scores))
    assert scores[worst] > 10 * min(scores.values())
    kept, lanes = shown.in_place("calibrated")
    assert kept <= lanes / 2 and shown.in_place("tuned") == (lanes, lanes)
    assert shown.agreement("calibrated").f1 < 0.8 < 0.9 < shown.agreement("tuned").f1
    cells = shown.cells(worst).numpy()
    assert how_few(cells) < cells.size / 10


def test_the_shipped_run_is_whole_and_names_no_place_on_a_disk() -> None:
    folder = sample_data() / "tour"
    for entry in json.loads((folder / "manifest.json").read_text())["files"]:
        assert content_hash([folder / entry["file"]]) == entry["sha256"], entry["file"]
    assert RunFolder.open(folder).spec.images == ("scenes",)


def test_the_fewest_values_that_make_up_a_share() -> None:
    assert how_few(np.array([[0.0, 6.0], [1.0, 3.0]]), 0.6) == 1
    assert how_few(np.array([[0.0, 6.0], [1.0, 3.0]]), 0.9) == 2
    assert how_few(np.ones(10), 0.95) == 10


def test_the_projector_view_is_in_the_address(visit: Visit) -> None:
    app = visit("tour", projector="true")
    assert errors(app) == [] and app.session_state["projector"] is True
    assert visit("tour").session_state["projector"] is False


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium")
def test_arrow_keys_walk_the_tour_on_a_projector_and_nothing_is_asked_of_the_internet(tmp_path: Path) -> None:
    asked: list[str] = []
    with serving(tmp_path) as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.set_default_timeout(180_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{url}/tour")
        main, chosen = page.get_by_test_id("stMain"), page.locator(".st-key-step [data-selected=true]")
        expect(chosen).to_have_text(STEPS[0], timeout=180_000)
        page.get_by_role("button", name="Projector view").click()
        page.wait_for_url("**projector=true*")
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        title = main.locator("h1")
        for step in STEPS[1:]:
            before = title.inner_text()
            page.wait_for_timeout(500)  # keys that come while the page is drawn anew are lost
            page.keyboard.press("ArrowRight")
            expect(chosen).to_have_text(step, timeout=180_000)
            expect(title).not_to_have_text(before, timeout=180_000)
            assert main.evaluate("(m) => m.scrollHeight <= m.clientHeight"), step
        page.locator(".sf-compare input").focus()
        page.keyboard.press("ArrowLeft")  # moves the divider, not the tour
        page.wait_for_timeout(500)
        expect(chosen).to_have_text(STEPS[-1])
        page.keyboard.press("Escape")
        expect(page.get_by_test_id("stSidebar")).to_be_visible(timeout=180_000)
        assert "projector" not in page.url
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
