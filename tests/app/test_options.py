"""Help texts and controls that come from a method's own configuration."""

from __future__ import annotations

from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from app.options import help_texts
from sfcore.quant.methods import methods


@pytest.mark.parametrize("name", methods())
def test_every_option_of_every_method_has_a_help_text(name: str) -> None:
    method = methods()[name]
    texts = help_texts(method)
    assert [spec.name for spec in fields(method) if spec.init and spec.name not in texts] == []
    assert all(text.endswith(".") for text in texts.values())


def test_only_what_differs_from_the_defaults_is_written_down() -> None:
    def page() -> None:
        import streamlit as st

        from app import options
        from sfcore.quant.methods import methods

        st.session_state["chosen"] = options.draw(methods()["selective-focus"], 4)

    app = AppTest.from_function(page).run()
    assert not app.exception and app.session_state["chosen"] == {}
    app.number_input(key="t_k").set_value(3).run()
    app.number_input(key="t_lam").set_value(5.0).run()
    assert app.session_state["chosen"] == {"k": 3, "lam": 5.0}
