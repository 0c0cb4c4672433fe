"""Our own components: HTML, style and script of each, declared to Streamlit when one is first drawn."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st


@cache
def component(name: str, html: str, css: str, js: str) -> Any:
    """A component by its name, which is that of its file. Declared late, because Streamlit wants a running server."""
    return st.components.v2.component(f"sfcore.{name}", html=html, css=css, js=js)
