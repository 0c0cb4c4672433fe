"""What our own components hold, kept in the page's link, as ``bind="query-params"`` does for Streamlit's widgets."""

from __future__ import annotations

import math
from contextlib import suppress

import streamlit as st

RUNS = ("run", "against")  # names of runs, which may be called like numbers
MAY_BE_EMPTY = ("s_k", "s_lam")  # texts that say something else where nothing is typed
_ARRIVED = "arrived by link"


def drop_impossible() -> None:
    """Take out of the link that a visitor comes with what Streamlit's own inputs break at: choices of nothing, and
    numbers without end."""
    if st.session_state.get(_ARRIVED):  # what is in the link now is what widgets have put there
        return
    st.session_state[_ARRIVED] = True
    for name, text in st.query_params.to_dict().items():
        with suppress(ValueError):
            empty = not text and name not in MAY_BE_EMPTY
            if empty or (text and name not in RUNS and math.isinf(float(text))):
                del st.query_params[name]


def keep(name: str, text: str | None) -> None:
    """Remember a choice for this visitor and put it in the link; None forgets it."""
    st.session_state[name] = text
    if text is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def recall(name: str) -> str | None:
    """What the link says, or else what the visitor chose when last on this page."""
    text = st.query_params.get(name) or st.session_state.get(name)
    keep(name, text)
    return text


def open_page(page: str) -> None:
    """Switch to another page. Of its own accord Streamlit would refuse while the link holds a widget's value."""
    st.switch_page(f"../pages/{page}.py", query_params={})
