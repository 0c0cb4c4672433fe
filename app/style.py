"""The app's look beyond its theme: a few rules of CSS, page titles, legends, and number formats."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

import streamlit as st

from app.figures.colours import FULL, MOVED, PARTS

PATIENCE = 0.4  # seconds before a progress bar is worth showing

_CSS = """
<style>
  .stMainBlockContainer.block-container { padding: 3.2rem 2.6rem 3rem; max-width: 1760px; }
  [data-testid="stSidebarHeader"] { height: 3.6rem; margin-bottom: 0.4rem; }
  .sf-lead { opacity: 0.75; font-size: 1.02rem; margin: -0.5rem 0 0.4rem; max-width: 62rem; }
  .sf-legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; font-size: 0.86rem; align-items: center; }
  .sf-legend span.key { display: inline-flex; align-items: center; gap: 0.4rem; white-space: nowrap; }
  .sf-legend i { display: inline-block; width: 1.35rem; height: 0.32rem; border-radius: 0.2rem; }
  .sf-legend i.band { height: 0.62rem; opacity: 0.7; }
  .sf-legend i.dots { background: none !important; border-top: 0.32rem dotted; height: 0; border-radius: 0; }
  .sf-legend i.dash { height: 0.2rem; border-radius: 0; box-shadow: 0 0 0 0.1rem #0c121c;
    background: repeating-linear-gradient(90deg, currentColor 0 0.35rem, #0c121c 0 0.5rem) !important; }
  .sf-head { display: flex; align-items: baseline; gap: 0.55rem; flex-wrap: wrap; }
  .sf-head b { font-size: 1.02rem; }
  .sf-chip { font-size: 0.74rem; padding: 0.05rem 0.5rem; border-radius: 1rem;
    border: 1px solid rgba(138,147,163,.55); }
  .sf-note { font-size: 0.86rem; opacity: 0.72; }
  table.sf-heads { width: 100%; border-collapse: collapse; font-size: 0.84rem; font-variant-numeric: tabular-nums; }
  table.sf-heads th { text-align: right; font-weight: 600; opacity: 0.7; padding: 0.2rem 0.4rem; border: none; }
  table.sf-heads td { text-align: right; padding: 0.2rem 0.4rem; border: none;
    border-top: 1px solid rgba(138,147,163,.25); }
  table.sf-heads th:first-child, table.sf-heads td:first-child, table.sf-heads .bar { text-align: left; }
  .sf-wide { overflow-x: auto; }
  table.sf-heads tr.faint { opacity: 0.45; }
  table.sf-heads .track { display: inline-block; width: 4.2rem; height: 0.45rem; border-radius: 0.25rem;
    background: rgba(138,147,163,.28); margin-right: 0.45rem; overflow: hidden; vertical-align: 0.05rem; }
  table.sf-heads .fill { display: block; height: 100%; background: #56B4E9; }
  [data-testid="stMetricValue"] { font-variant-numeric: tabular-nums; }
  [data-testid="stImage"] img { border-radius: 0.5rem; }
</style>
"""


def apply() -> None:
    """Put the app's own rules on the page."""
    st.html(_CSS)


def page(title: str, lead: str) -> None:
    """The top of a page: its title and one sentence."""
    st.title(title, anchor=False)
    st.html(f'<p class="sf-lead">{escape(lead)}</p>')


def legend(*keys: tuple[str, str, str]) -> None:
    """A row of (label, colour, "line" | "band" | "dots" | "dash")."""
    items = "".join(
        f'<span class="key"><i class="{shape}" style="background:{colour};color:{colour}"></i>{escape(label)}</span>'
        for label, colour, shape in keys
    )
    st.html(f'<div class="sf-legend">{items}</div>')


def moved_legend(after: str, *more: tuple[str, str, str]) -> None:
    """The legend of a picture of two lane sets; ``after`` names the second, ``more`` are keys as of :func:`legend`."""
    legend(
        ("full precision", FULL, "band"),
        (f"{after}, in place", MOVED, "line"),
        ("bend", PARTS["bend"], "line"),
        ("spike", PARTS["spike"], "line"),
        ("misalignment", PARTS["misalignment"], "line"),
        ("lost", PARTS["misalignment"], "dots"),
        *more,
    )


def chips(title: str, labels: Sequence[str], colour: str | None = None) -> None:
    """A small heading with labels beside it, underlined by a colour key when one is given."""
    key = (
        f'<i style="width:.7rem;height:.7rem;border-radius:50%;background:{colour};display:inline-block"></i>'
        if colour
        else ""
    )
    marks = "".join(f'<span class="sf-chip">{escape(label)}</span>' for label in labels)
    st.html(f'<div class="sf-head">{key}<b>{escape(title)}</b>{marks}</div>')


def note(text: str) -> None:
    """A quiet line of text."""
    st.html(f'<div class="sf-note">{escape(text)}</div>')


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
