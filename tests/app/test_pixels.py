"""The Pixels page: element maps, and noise on what was chosen in them."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app import perturbation
from app.widgets.pixel_picker import as_box
from sfcore.resources import cache
from sfcore.sensitivity.element_map_worker import serve
from tests.app.conftest import Visit, errors, metric


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps are measured while the page waits, however busy the machine is."""
    monkeypatch.setattr(perturbation, "QUICK", float("inf"))


def notes(app: AppTest) -> str:
    """The quiet lines of the page."""
    return " ".join(html.value for html in app.get("html"))


def test_sensitivity_lies_on_the_foreground_and_not_there_by_chance(visit: Visit) -> None:
    app = visit("pixels", head="offset")
    share, chance, focus = (float(metric(app, name).rstrip(" %×")) for name in ("On foreground", "By chance", "Focus"))
    assert share > 90 and chance < 15
    assert focus == pytest.approx(share / chance, rel=0.03)


def test_noise_goes_where_the_link_says_and_nowhere_without(visit: Visit) -> None:
    app = visit("pixels", head="error", p_level="100 %")
    assert metric(app, "Distortion") == "0.00"
    scores = []
    for box in ("0,0,1,0.3", "0,0.5,0.5,1", "0,0.3,1,1"):
        app.query_params["box"] = box
        app.run()
        scores.append(float(metric(app, "Distortion")))
    assert scores[0] == 0.0 < scores[1] < scores[2]


@pytest.mark.parametrize("text", ["", "0,0,1", "a,b,c,d", "0.5,0,0.4,1", "0,0,1,nan", "-0.1,0,1,1"])
def test_what_is_no_box_chooses_nothing(text: str) -> None:
    assert as_box(text) is None


def test_a_box_is_read_from_the_link() -> None:
    assert as_box("0.1,0.2,0.3,0.2") == (0.1, 0.2, 0.3, 0.2)


def test_a_query_is_chosen_from_a_list_the_most_confident_first(visit: Visit) -> None:
    app = visit("pixels", detector="lstr-tiny", head="own", p_level="100 %")
    query = app.selectbox(key="query-own")
    confidences = [float(option.split("confidence ")[1].rstrip(" %")) for option in query.options]
    assert confidences[query.value] == max(confidences)
    assert errors(app) == [] and float(metric(app, "Distortion")) > 0
    query.set_value(confidences.index(min(confidences))).run()
    assert metric(app, "Distortion") == "0.00"


def test_a_head_of_the_whole_image_takes_noise_on_all_its_values(visit: Visit) -> None:
    app = visit("pixels", detector="lstr-tiny", head="shared", p_level="100 %")
    assert errors(app) == [] and float(metric(app, "Distortion")) > 0


def test_a_long_map_is_measured_elsewhere_while_the_page_works(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbation, "QUICK", 0.0)
    monkeypatch.setattr("sfcore.sensitivity.element_map_worker._start_worker", lambda folder: None)
    app = visit("pixels", head="kpts", box="0,0.3,1,1", p_level="100 %")
    assert errors(app) == [] and metric(app, "On foreground") == "…"
    assert float(metric(app, "Distortion")) > 0 and app.get("progress")[0].text == "Measuring the element map: 0 %"
    serve(cache() / "elements", linger=0.15)
    app.run()
    assert metric(app, "On foreground").endswith("%")


def test_too_many_elements_are_moved_in_blocks_and_the_page_says_so(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perturbation, "MOST_MOVES", 400)
    assert "block of 2 × 2 cells with all its 2 channels" in notes(visit("pixels", head="offset"))
    app = visit("pixels", detector="laneatt-tiny", head="length")
    assert errors(app) == [] and "were measured" not in notes(app)
    monkeypatch.setattr(perturbation, "MOST_MOVES", 100)
    app = visit("pixels", detector="laneatt-tiny", head="length")
    assert "the 100 most confident were measured" in notes(app)
