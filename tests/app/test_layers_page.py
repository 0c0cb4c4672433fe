"""The Layers page: bits layer by layer, by hand and for a budget, in the link."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app import calibration, layer_bits
from app.layer_bits import as_code, bits_of, block_of, from_code, in_scheme, tune_query
from app.session import DetectorChoice
from sfcore.detectors.registry import create
from sfcore.quant.cost import Profile
from sfcore.quant.scheme import Scheme
from tests.app.conftest import Visit, errors, metric

DETECTOR = "bezierlanenet-tiny"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images: what a page shows does not depend on how many there are."""
    monkeypatch.setattr(calibration, "IMAGES", 2)
    monkeypatch.setattr(layer_bits, "JUDGED", 2)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.of(create(DETECTOR))


def code(profile: Profile, text: str) -> str:
    return as_code(bits_of(profile, Scheme.parse(text)))


def held(app: AppTest, name: str) -> str:
    """What the link holds."""
    found = app.query_params[name]
    return found if isinstance(found, str) else found[0]


def distortion(app: AppTest) -> float:
    return float(metric(app, "Distortion here"))


def test_a_first_visit_shows_lanes_with_uniform_bits_and_what_each_layer_does(visit: Visit, profile: Profile) -> None:
    app = visit("layers", detector=DETECTOR)
    assert errors(app) == []
    assert distortion(app) > 0
    assert held(app, "l_bits") == code(profile, "W4A4")
    assert metric(app, "Bits") == "4.02 · 4.69"


def test_more_bits_leave_less_distortion_and_cost_more(visit: Visit, profile: Profile) -> None:
    found = {}
    for text in ("W3A3", "W8A8"):
        app = visit("layers", detector=DETECTOR, l_bits=code(profile, text))
        found[text] = distortion(app), float(metric(app, "Size").split()[0].replace(",", ""))
    assert found["W8A8"][0] < found["W3A3"][0]
    assert found["W8A8"][1] > 2 * found["W3A3"][1]


def test_bits_of_selected_layers_are_set_pinned_and_undone(visit: Visit, profile: Profile) -> None:
    app = visit("layers", detector=DETECTOR, l_layers="1-3")
    next(group for group in app.button_group if group.label == "Activations, bits").set_value(8).run()
    assert errors(app) == []
    bits = from_code(held(app, "l_bits"), profile.layers)
    assert bits is not None and [pair[1] for pair in bits[1:4]] == [8, 8, 8]
    assert [pair[0] for pair in bits] == [pair[0] for pair in bits_of(profile, Scheme.parse("W4A4"))]
    assert held(app, "l_own") == "1-3"
    next(button for button in app.button if button.label == "Undo").click().run()
    assert held(app, "l_bits") == code(profile, "W4A4")
    assert "l_own" not in app.query_params


def test_the_rest_is_allotted_within_the_budget_and_pinned_layers_stay(visit: Visit, profile: Profile) -> None:
    bits = list(bits_of(profile, Scheme.parse("W4A4")))
    bits[-1] = (bits[-1][0], 16)
    app = visit("layers", detector=DETECTOR, l_bits=as_code(tuple(bits)), l_own=str(len(bits) - 1))
    before = distortion(app)
    app.button(key="l_allot").click().run()
    assert errors(app) == []
    found = from_code(held(app, "l_bits"), profile.layers)
    assert found is not None and found[-1] == bits[-1] and {a for _, a in found} <= {4, 8, 16}
    assert profile.cost(in_scheme(profile, found)).average_weight_bits <= 4.5
    assert distortion(app) < before


def test_a_budget_that_cannot_be_met_says_the_least_and_keeps_the_bits(visit: Visit, profile: Profile) -> None:
    app = visit("layers", detector=DETECTOR)
    app.number_input(key="l_budget_bit").set_value(1.0).run()
    app.button(key="l_allot").click().run()
    assert any("cannot be met: the least that can be is" in text for text in errors(app))
    assert held(app, "l_bits") == code(profile, "W4A4")


def test_the_front_is_measured_when_asked_for_and_kept(visit: Visit) -> None:
    app = visit("layers", detector=DETECTOR)
    app.button(key="l_front").click().run()
    assert errors(app) == []
    assert len(app.get("plotly_chart")) == 1
    assert all(button.key != "l_front" for button in app.button)


@pytest.mark.parametrize("text", ["", "44", "xx" * 33, "44" * 34, "hh" * 33, "é" * 66])
def test_bits_in_a_link_that_fit_no_layers_are_not_taken(text: str, profile: Profile) -> None:
    assert from_code(text, profile.layers) is None


def test_bits_of_another_detector_in_the_link_give_way_to_uniform_ones(visit: Visit, profile: Profile) -> None:
    app = visit("layers", detector=DETECTOR, l_bits="4444")
    assert errors(app) == [] and held(app, "l_bits") == code(profile, "W4A4")


def test_bits_go_through_a_scheme_and_a_link_and_come_back(profile: Profile) -> None:
    scheme = Scheme.parse("W3A5,heads=W16A8,backbone.*=W6")
    bits = bits_of(profile, scheme)
    assert from_code(as_code(bits), profile.layers) == bits
    assert bits_of(profile, in_scheme(profile, bits)) == bits
    assert profile.cost(in_scheme(profile, bits)) == profile.cost(scheme)


def test_the_tune_page_opens_with_the_scheme(visit: Visit, profile: Profile) -> None:
    scheme = in_scheme(profile, bits_of(profile, Scheme.parse("W4A4,heads=16,backbone.layer1.*=W6A8")))
    query = tune_query(DetectorChoice.of(DETECTOR, None, "cpu"), scheme)
    app = visit("tune", **query)
    assert errors(app) == []
    said = " ".join(str(getattr(html, "value", "")) for html in app.get("html"))
    assert str(profile.cost(scheme)) in said


def test_blocks_are_what_names_begin_with() -> None:
    assert [block_of(name) for name in ("a.b.c.d", "a.b.c", "a.b", "a")] == ["a.b", "a.b", "a", ""]
