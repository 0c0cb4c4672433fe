"""Distilled images among those of the sidebar: how many and how, a button that makes them, and what they are."""

from __future__ import annotations

import time
from dataclasses import replace

import streamlit as st

from app.session import PATHS, DetectorChoice, load_detector
from app.style import duration
from sfcore.datasets.distilled import Distilled
from sfcore.datasets.source import source_of, source_parts
from sfcore.datasets.sources.distilled import DistilledImages
from sfcore.distil.images import distil, sign_of
from sfcore.errors import InputError

MOST = 64  # images of a visitor; more are left to the command line
COUNT, STEPS = 8, 60  # at first: a minute or two
ABOUT = (
    "Made from the network's batch-norm statistics; no photographs. Calibrate on them where there are no images of "
    "the road. Do not judge on them."
)


def source(choice: DetectorChoice) -> str:
    """The source of the images that are asked for, which are there.

    Raises:
        InputError: they are not made yet, or cannot be made of this detector.
    """
    left, right = st.columns(2)
    count = left.number_input("Images", 1, MOST, COUNT, key="d_count", bind="query-params")
    steps = right.number_input(
        "Steps", 1, 2000, STEPS, key="d_steps", bind="query-params", help="Of the synthesis: about 200 are best."
    )
    epsilon = st.number_input(
        "ε", 0.0, 1.0, Distilled(1).epsilon, 0.01, key="d_epsilon", bind="query-params", format="%g",
        help="The share of the channels of Gaussian noise that are near enough to what the network remembers and are "
        "let be. At the published 0.9 the images of detectors stay near noise.",
    )  # fmt: skip
    what = _for_network(choice, Distilled(int(count), epsilon=epsilon, steps=int(steps)))
    if not what.made:
        if not st.button(f"Distil {count} images", key="distil", icon=":material/experiment:", width="stretch"):
            raise InputError("no distilled images of these settings yet: press Distil; each takes some seconds")
        _make(choice, what)
    st.caption(ABOUT)
    return str(what)


def there(choice: DetectorChoice, text: str) -> str:
    """What a visitor typed as a path; where it names distilled images, those of the chosen network.

    Raises:
        InputError: it names such images, and they are not made yet.
    """
    place = source_parts(text)[0]
    if not isinstance(source_of(place), DistilledImages):
        return text
    what = _for_network(choice, Distilled.parse(place))
    if not what.made:
        raise InputError(f"{place} is not made yet: make it under Distilled, or with the command sfcore distil")
    st.caption(ABOUT)
    return text.replace(str(place).partition("/")[0], str(what), 1)


def _for_network(choice: DetectorChoice, what: Distilled) -> Distilled:
    return replace(what, of=what.of or _sign(choice))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=PATHS)
def _sign(choice: DetectorChoice) -> str:
    """Of a network, whose weights are read whole for it, so not at every rerun."""
    return sign_of(load_detector(choice))


def _make(choice: DetectorChoice, what: Distilled) -> None:
    """Make the images with a bar that says the time left."""
    place, begun = st.empty(), time.monotonic()

    def told(done: int, total: int) -> None:
        left = (time.monotonic() - begun) / done * (total - done)
        place.progress(done / total, f"Distilling, about {duration(left)} left")

    distil(load_detector(choice), what, told)
    place.empty()
