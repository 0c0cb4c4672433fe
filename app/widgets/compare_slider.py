"""Two pictures of the same road, one over the other, with a divider to drag or to move with the arrow keys."""

from __future__ import annotations

import streamlit as st

from app.widgets.component import component
from app.widgets.links import keep, recall
from app.widgets.pictures import FIT, uri

PLACE, MIDDLE = "divider", 50.0

_HTML = """
<figure class="sf-compare">
  <img class="left" alt="">
  <img class="right" alt="">
  <span class="label l"></span><span class="label r"></span>
  <span class="divider"><span class="grip">‹ ›</span></span>
  <input type="range" min="0" max="100" step="0.5" aria-label="divider">
</figure>
"""

_CSS = """
.sf-compare { position: relative; margin: 0; line-height: 0; border-radius: 0.5rem; overflow: hidden; --at: 50%; }
.sf-compare img { width: 100%; display: block; user-select: none; }
.sf-compare img.right { position: absolute; inset: 0; height: 100%; clip-path: inset(0 0 0 var(--at)); }
.sf-compare .divider { position: absolute; top: 0; bottom: 0; left: var(--at); width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 4px rgba(0,0,0,.7); pointer-events: none; }
.sf-compare .grip { position: absolute; top: 50%; left: 50%; transform: translate(-50%,-50%); background: #fff;
  color: #17202e; font: 600 15px/2rem var(--st-font); width: 2.6rem; text-align: center; border-radius: 1rem;
  box-shadow: 0 1px 5px rgba(0,0,0,.5); }
.sf-compare .label { position: absolute; top: 0.7rem; font: 600 0.85rem/1.6 var(--st-font); color: #fff;
  background: rgba(12,18,28,.78); padding: 0 0.6rem; border-radius: 0.35rem; pointer-events: none; }
.sf-compare .label.l { left: 0.7rem; } .sf-compare .label.r { right: 0.7rem; }
.sf-compare input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.sf-compare:focus-within .grip { outline: 3px solid var(--st-primary-color); }
"""

_JS = """
export default function({ data, parentElement, setStateValue }) {
  const figure = parentElement.querySelector('.sf-compare');
  const range = figure.querySelector('input');
  const pick = (name) => figure.querySelector(name);
  fit(pick('img.left'), figure);
  for (const side of ['left', 'right']) {
    if (pick('img.' + side).src !== data[side]) pick('img.' + side).src = data[side];
  }
  pick('img.left').alt = data.left_label; pick('img.right').alt = data.right_label;
  pick('.label.l').textContent = data.left_label; pick('.label.r').textContent = data.right_label;
  const move = () => figure.style.setProperty('--at', range.value + '%');
  if (!range.matches(':focus')) range.value = data.at;
  range.oninput = move;
  range.onchange = () => setStateValue('at', Number(range.value));
  move();
}
"""


def compare_slider(left: bytes, right: bytes, left_label: str, right_label: str, key: str) -> None:
    """Show two JPEG pictures of one size; the divider's place is in the link once it was moved."""

    def moved() -> None:
        keep(PLACE, f"{st.session_state[key]['at']:g}")

    labels = {"left_label": left_label, "right_label": right_label}
    data = {"left": uri(left), "right": uri(right), "at": _place(recall(PLACE))} | labels
    component("compare_slider", _HTML, _CSS, FIT + _JS)(data=data, key=key, on_at_change=moved)


def _place(text: str | None) -> float:
    """The divider's place from what a link says, whatever that is: percent from the left edge."""
    try:
        return min(max(float(text or MIDDLE), 0.0), 100.0)
    except ValueError:
        return MIDDLE
