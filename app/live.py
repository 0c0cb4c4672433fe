"""A part of a page that is drawn anew while what it shows goes on."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import style
from sfcore.errors import InputError

EVERY = "2s"


def live(draw: Callable[[], bool], alive: bool) -> None:
    """Draw it, again and again while it goes on, and the whole page once more when that ends.

    Args:
        draw: draws; returns whether it goes on.
        alive: whether it does now.
    """

    @st.fragment(run_every=EVERY if alive else None)
    def present() -> None:
        try:
            goes_on = draw()
        except InputError as error:
            style.problem(error)
            return
        if alive and not goes_on:
            st.rerun()

    present()
