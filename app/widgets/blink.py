"""Two pictures of the same road in the same place, changing once a second: what moves between them catches the eye."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from app.widgets.pictures import uri

_HTML = """
<figure class="sf-blink">
  <img class="left" alt=""><img class="right" alt="">
  <span class="label" aria-hidden="true"></span>
  <button type="button"></button>
</figure>
"""

_CSS = """
.sf-blink { position: relative; margin: 0; line-height: 0; border-radius: 0.5rem; overflow: hidden; }
.sf-blink img { width: 100%; display: block; user-select: none; }
.sf-blink img.right { position: absolute; inset: 0; height: 100%; visibility: hidden; }
.sf-blink.second img.right { visibility: visible; }
.sf-blink .label { position: absolute; top: 0.7rem; left: 0.7rem; font: 600 0.85rem/1.6 var(--st-font); color: #fff;
  background: rgba(12,18,28,.78); padding: 0 0.6rem; border-radius: 0.35rem; pointer-events: none; }
.sf-blink.second .label { left: auto; right: 0.7rem; }
.sf-blink button { position: absolute; bottom: 0.7rem; left: 0.7rem; font: 600 0.85rem/1.9 var(--st-font); color: #fff;
  background: rgba(12,18,28,.78); border: 1px solid rgba(255,255,255,.5); padding: 0 0.8rem; border-radius: 0.35rem;
  min-width: 6.2rem; cursor: pointer; }
.sf-blink button:focus-visible { outline: 3px solid var(--st-primary-color); }
"""

_JS = """
export default function({ data, parentElement }) {
  const figure = parentElement.querySelector('.sf-blink'), button = figure.querySelector('button');
  for (const side of ['left', 'right']) {
    const image = figure.querySelector('img.' + side);
    if (image.src !== data[side]) image.src = data[side];
    image.alt = data[side + '_label'];
  }
  const show = (second) => {
    figure.classList.toggle('second', second);
    figure.querySelector('.label').textContent = second ? data.right_label : data.left_label;
  };
  const flip = () => show(!figure.classList.contains('second'));
  const play = (on) => {
    clearInterval(figure.timer);
    figure.playing = on;
    if (on) figure.timer = setInterval(flip, 1000);
    button.textContent = on ? '❚❚ Pause' : '▶ Blink';
    button.title = 'Space: pause or go on. Arrow keys: show the left or the right picture.';
  };
  show(figure.classList.contains('second'));
  play(figure.playing ?? !matchMedia('(prefers-reduced-motion: reduce)').matches);
  button.onclick = () => play(!figure.playing);
  figure.onkeydown = (e) => {
    if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
    play(false); show(e.key === 'ArrowRight'); e.preventDefault();
  };
  return () => clearInterval(figure.timer);
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("sfcore.blink", html=_HTML, css=_CSS, js=_JS)


def blink(left: bytes, right: bytes, left_label: str, right_label: str, key: str) -> None:
    """Show two JPEG pictures of one size in turn; still at first for visitors who ask their system for less motion."""
    _component()(
        data={"left": uri(left), "right": uri(right), "left_label": left_label, "right_label": right_label}, key=key
    )
