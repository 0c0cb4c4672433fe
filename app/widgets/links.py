"""What our own components hold, kept in the page's link, as ``bind="query-params"`` does for Streamlit's widgets."""

from __future__ import annotations

import math
from contextlib import suppress

import streamlit as st

RUNS = ("run", "against")  # names of runs, which may be called like numbers


def drop_impossible() -> None:
    """Take out of the link what Streamlit's own inputs break at: choices of nothing, and numbers without end."""
    for name, text in st.query_params.to_dict().items():
        with suppress(ValueError):
            if not text or (name not in RUNS and math.isinf(float(text))):
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
