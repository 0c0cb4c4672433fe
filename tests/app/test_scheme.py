"""The choice of a scheme on the Tune page, and what it costs, wherever the app shows one."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app import results
from app.scheme import filled
from app.session import first_detector
from sfcore.detectors.registry import create
from sfcore.quant.cost import Profile
from sfcore.quant.scheme import Scheme
from sfcore.runs import RunFolder, list_runs
from sfcore.runs.shipped import shipped
from tests.app.conftest import Visit, errors


def notes(app: AppTest) -> str:
    return " ".join(html.value for html in app.get("html"))


def said(scheme: str, detector: str = "") -> str:
    """What a page says that a scheme costs a detector, by default the first."""
    return str(Profile.of(create(detector or first_detector())).cost(Scheme.parse(scheme)))


def test_the_cost_follows_what_is_chosen(visit: Visit) -> None:
    app = visit("tune", t_bits="W4A4")
    assert errors(app) == [] and said("W4A4") in notes(app)
    app.selectbox(key="t_head_bits").set_value("16").run()
    assert said("W4A4,heads=16") in notes(app)
    app.text_input(key="t_layer_bits").set_value("*.conv1=W6, *.conv2=A8").run()
    assert errors(app) == [] and said("W4A4,heads=16,*.conv1=W6,*.conv2=A8") in notes(app)


def test_rules_in_a_link_are_taken_and_the_heads_are_asked_for_once(visit: Visit) -> None:
    app = visit("tune", t_bits="W4A4,heads=16", t_head_bits="8")
    assert errors(app) == [] and said("W4A4,heads=16") in notes(app)
    assert app.selectbox(key="t_head_bits").disabled
    app = visit("tune", t_bits="W8A4", t_head_bits="8", t_layer_bits="*.conv1=6")
    assert errors(app) == [] and said("W8A4,heads=8,*.conv1=6") in notes(app)


def test_a_name_that_no_layer_has_is_said_beside_its_control_and_nothing_is_lost(visit: Visit) -> None:
    app = visit("tune", t_layer_bits="backbone.konv1=8", t_seed="7")
    (problem,) = errors(app)
    assert "backbone.konv1, but no quantized layer is called so" in problem
    assert app.number_input(key="t_seed").value == 7
    next(button for button in app.button if button.label == "Start the run").click().run()
    assert any("backbone.konv1" in error for error in errors(app)) and list_runs(results.default_root()) == []
    app.text_input(key="t_layer_bits").set_value("backbone.conv1").run()
    assert any("write PATTERN=BITS" in error for error in errors(app))


@pytest.mark.parametrize(
    ("scheme", "controls"),
    [
        ("W8A4", ("W8A4", "as all", "")),
        ("W4A4-affine,heads=16,*.mix=A8,a=W6", ("W4A4", "16", "*.mix=A8, a=W6")),
        ("W4A4,*.mix=A8,heads=8", ("W4A4", "as all", "*.mix=A8, heads=8")),  # the order counts
        ("W4A4,heads=W8A16", ("W4A4", "as all", "heads=W8A16")),
    ],
)
def test_controls_hold_a_scheme_as_it_is(scheme: str, controls: tuple[str, ...]) -> None:
    chosen = Scheme.parse(scheme)
    assert tuple(filled(chosen).values()) == controls

    def page() -> None:
        import streamlit as st

        from app.scheme import choose

        st.session_state["chosen"] = choose()

    app = AppTest.from_function(page)
    for key, value in filled(chosen).items():
        app.session_state[key] = value
    app.run()
    assert not app.exception and app.session_state["chosen"].rules == chosen.rules


def test_duplicate_takes_the_rules_of_a_run(visit: Visit, run: RunFolder) -> None:
    run.update(spec=run.record()["spec"] | {"scheme": "W4A4-affine,heads=16,*.conv1=W6"})
    app = visit("tune", t_bits="W8A8")
    next(button for button in app.button if button.label == "Duplicate").click().run()
    assert errors(app) == []
    found = (app.selectbox(key="t_bits").value, app.selectbox(key="t_head_bits").value)
    assert (*found, app.text_input(key="t_layer_bits").value) == ("W4A4", "16", "*.conv1=W6")
    assert app.checkbox(key="t_affine").value


def test_runs_tell_what_their_bits_cost(visit: Visit, run: RunFolder) -> None:
    app = visit("runs")
    table = app.dataframe[0].value.set_index("Run")
    assert table["Bits a weight"].isna()[run.name]  # of an earlier version: it is counted where the run is opened
    example = Profile.of(create(shipped().spec.detector)).cost(shipped().spec.full_scheme())
    assert table["Bits a weight"][shipped().name] == example.average_weight_bits
    assert said("W4A4") in notes(visit("tune"))
    run.update(scheme={"name": "W4A4", "average_weight_bits": 5.0, "average_activation_bits": 6.5, "bops": 7 * 10**9})
    row = visit("runs").dataframe[0].value.set_index("Run").loc[run.name]
    assert tuple(row[["Bits", "Bits a weight", "Bits an activation", "GBOPs"]]) == ("W4A4", 5.0, 6.5, 7.0)


@pytest.mark.parametrize(("page", "query"), [("compare", {"bits": "W8A4"}), ("curves", {"c_bits": "W8A4"})])
def test_what_is_quantized_on_the_spot_tells_what_its_bits_cost(visit: Visit, page: str, query: dict[str, str]) -> None:
    app = visit(page, detector="lstr-tiny", **query)
    assert errors(app) == [] and said("W8A4", "lstr-tiny") in notes(app)
