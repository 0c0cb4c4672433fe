"""Help texts and controls that come from a method's own configuration."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.options import offered
from sfcore.quant.methods import methods
from sfcore.quant.methods.effort import PUBLISHED


@pytest.mark.parametrize(
    ("name", "there", "absent"),
    [("qdrop", {"rounding", "step_rate", "drop", "learning_rate"}, {"k", "lam", "objective", "check_every"}),
     ("netwise", {"objective", "selection", "iterations"}, {"k", "lam", "rounding", "warm_up", "step_rate", "heads"}),
     ("selective-focus", {"k", "lam", "reselect_every"}, {"rounding", "heads", "step_rate"}),
     ("lsq-plus", {"step_rate"}, {"rounding", "k"})],
)  # fmt: skip
def test_options_that_a_method_does_not_use_are_not_offered(name: str, there: set[str], absent: set[str]) -> None:
    names = set(offered(methods()[name]))
    assert there <= names and not absent & names


def test_options_appear_with_what_makes_them_count() -> None:
    def page() -> None:
        import streamlit as st

        from app import options
        from sfcore.quant.methods import methods

        st.session_state["chosen"] = options.draw(methods()["netwise"], 4)

    app = AppTest.from_function(page)
    app.session_state["t_effort"] = PUBLISHED
    app.run()
    assert not [control for control in app.number_input if control.key == "t_k"]
    app.selectbox(key="t_selection").set_value("random").run()
    assert app.number_input(key="t_k").value == 2
    app.selectbox(key="t_selection").set_value("fixed").run()
    app.text_input(key="t_heads").set_value("kpts, offset").run()
    assert not app.exception
    assert app.session_state["chosen"] == {"selection": "fixed", "heads": ("kpts", "offset")}


def test_only_what_differs_from_the_defaults_is_written_down() -> None:
    def page() -> None:
        import streamlit as st

        from app import options
        from sfcore.quant.methods import methods

        st.session_state["chosen"] = options.draw(methods()["selective-focus"], 4)

    app = AppTest.from_function(page)
    app.session_state["t_effort"] = PUBLISHED
    app.run()
    assert not app.exception and app.session_state["chosen"] == {}
    app.number_input(key="t_k").set_value(3).run()
    app.number_input(key="t_lam").set_value(5.0).run()
    assert app.session_state["chosen"] == {"k": 3, "lam": 5.0}
