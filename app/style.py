"""The app's look beyond its theme: its rules of CSS, page titles, legends, and number formats."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from sfcore.colours import FULL, MOVED
from sfcore.names import plain_in_markdown
from sfcore.tasks.base import Task

PATIENCE = 0.4  # seconds before a progress bar is worth showing
STATIC = Path(__file__).with_name("static")


def apply(projected: bool) -> None:
    """Put the app's own rules on the page, and those for a projector after them."""
    st.html(STATIC / "style.css")
    if projected:
        st.html(STATIC / "projector.css")


def hide_controls() -> None:
    """For a page that the sidebar's choices say nothing about: they stay as they are, out of sight."""
    st.html("<style>.st-key-sf-controls { display: none; }</style>")


def page(title: str, lead: str) -> None:
    """The top of a page: its title and one sentence."""
    st.title(title, anchor=False)
    st.html(f'<p class="sf-lead">{escape(lead)}</p>')


def legend(*keys: tuple[str, str, str]) -> None:
    """A row of (name, colour, "line" | "band" | "dots" | "dash")."""
    items = "".join(
        f'<span class="key"><i class="{shape}" style="background:{colour};color:{colour}"></i>{escape(name)}</span>'
        for name, colour, shape in keys
    )
    st.html(f'<div class="sf-legend">{items}</div>')


def moved_legend(task: Task[Any], after: str, *more: tuple[str, str, str]) -> None:
    """The legend of a picture of two predictions; ``after`` names the second, ``more`` are as of :func:`legend`."""
    legend(
        ("full precision", FULL, "band"),
        (f"{after}, in place", MOVED, "line"),
        *((part.name, part.colour, "line") for part in task.parts),
        ("lost", task.lost_colour, "dots"),
        *more,
    )


def chips(title: str, names: Sequence[str], colour: str | None = None) -> None:
    """A small heading with names beside it, underlined by a colour key when one is given."""
    key = (
        f'<i style="width:.7rem;height:.7rem;border-radius:50%;background:{colour};display:inline-block"></i>'
        if colour
        else ""
    )
    marks = "".join(f'<span class="sf-chip">{escape(name)}</span>' for name in names)
    st.html(f'<div class="sf-head">{key}<b>{escape(title)}</b>{marks}</div>')


def note(text: str) -> None:
    """A quiet line of text."""
    st.html(f'<div class="sf-note">{escape(text)}</div>')


def in_full_precision(left: Mapping[str, str]) -> None:
    """Say what of a quantized model stays in full precision, and why, by the names of its modules; nothing for none."""
    if left:
        said = "; ".join(f"**{name}** ({why})" for name, why in left.items())
        st.warning(f"Stays in full precision: {said}", icon=":material/info:")


def problem(text: object, icon: str | None = None) -> None:
    """What is wrong; names in it stay names."""
    st.error(plain_in_markdown(text), icon=icon)


def key_number(number: str, caption: str) -> None:
    """The one number that matters, large, and what it is."""
    st.html(f'<div class="sf-figure"><b>{escape(number)}</b><span>{escape(caption)}</span></div>')


def text(sentences: str) -> None:
    """Sentences to be read from some distance."""
    st.html(f'<p class="sf-text">{escape(sentences)}</p>')


class Bar:
    """A progress bar that appears only when the work takes longer than a moment, so that pages do not flicker."""

    def __init__(self, label: str) -> None:
        self._label, self._begun, self._place = label, time.monotonic(), st.empty()
        self._shown = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is."""
        now = time.monotonic()
        if now - self._begun > PATIENCE and now - self._shown > 0.1:
            self._shown = now
            self._place.progress(done / max(total, 1), f"{self._label}: {done:,} of {total:,}")

    def close(self) -> None:
        """Take the bar away."""
        self._place.empty()


def percent(share: float, digits: int = 0) -> str:
    """0.123 as "12 %"."""
    return f"{100 * share:.{digits}f} %"


def level_text(level: float) -> str:
    """A noise level as a percentage of the head's RMS, with two figures."""
    value = 100 * level
    return f"{value:.2g} %" if value < 10 else f"{value:.0f} %"


def duration(seconds: float) -> str:
    """Seconds as "45 s", "3 min 20 s" or "2 h 5 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
