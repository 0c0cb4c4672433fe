"""A picture to click or to brush: it answers with a point or a rectangle in shares of the picture."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from app.widgets.pictures import uri

Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of the picture; a point has no size

_HTML = """
<figure class="sf-picker" tabindex="0" role="application">
  <img alt=""><span class="box"></span><span class="cursor"></span>
</figure>
"""

_CSS = """
.sf-picker { position: relative; margin: 0; line-height: 0; border-radius: 0.5rem; overflow: hidden; cursor: crosshair;
  touch-action: none; outline-offset: 2px; }
.sf-picker:focus-visible { outline: 3px solid var(--st-primary-color); }
.sf-picker img { width: 100%; display: block; user-select: none; pointer-events: none; }
.sf-picker .box { position: absolute; display: none; border: 2px solid #fff; box-shadow: 0 0 0 1px rgba(0,0,0,.8),
  inset 0 0 0 1px rgba(0,0,0,.5); background: rgba(255,255,255,.14); pointer-events: none; min-width: 5px;
  min-height: 5px; }
.sf-picker .cursor { position: absolute; display: none; width: 17px; height: 17px; margin: -9px 0 0 -9px;
  border: 2px solid #fff; border-radius: 50%; box-shadow: 0 0 0 1px rgba(0,0,0,.8); pointer-events: none; }
.sf-picker:focus-visible .cursor { display: block; }
"""

_JS = """
export default function({ data, parentElement, setStateValue }) {
  const figure = parentElement.querySelector('.sf-picker');
  const [image, box, cursor] = ['img', '.box', '.cursor'].map((part) => figure.querySelector(part));
  if (image.src !== data.image) image.src = data.image;
  image.alt = data.label;
  figure.setAttribute('aria-label', data.label + '. Click or drag; or arrow keys and Enter.');
  const clip = (v) => Math.min(Math.max(v, 0), 1);
  const show = (b) => {
    box.style.display = b ? 'block' : 'none';
    if (!b) return;
    box.style.left = 100 * b[0] + '%'; box.style.top = 100 * b[1] + '%';
    box.style.width = 100 * (b[2] - b[0]) + '%'; box.style.height = 100 * (b[3] - b[1]) + '%';
  };
  const at = (e) => {
    const r = figure.getBoundingClientRect();
    return [clip((e.clientX - r.left) / r.width), clip((e.clientY - r.top) / r.height)];
  };
  const between = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  const settle = (b) => {
    const small = b[2] - b[0] < 0.006 && b[3] - b[1] < 0.006;
    const chosen = (small ? [b[0], b[1], b[0], b[1]] : b).map((v) => Math.round(v * 1e4) / 1e4);
    show(chosen); setStateValue('box', chosen);
  };
  show(data.box);
  let start = null;
  figure.onpointerdown = (e) => { start = at(e); figure.setPointerCapture(e.pointerId); show([...start, ...start]); };
  figure.onpointermove = (e) => { if (start) show(between(start, at(e))); };
  figure.onpointerup = (e) => { if (start) { const b = between(start, at(e)); start = null; settle(b); } };
  figure.onpointercancel = () => { start = null; show(data.box); };
  const place = figure.place ?? (figure.place = [0.5, 0.7]);
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const draw = () => { cursor.style.left = 100 * place[0] + '%'; cursor.style.top = 100 * place[1] + '%'; };
  draw();
  figure.onkeydown = (e) => {
    if (step[e.key]) {
      const size = e.shiftKey ? 0.05 : 0.0125;
      place[0] = clip(place[0] + size * step[e.key][0]); place[1] = clip(place[1] + size * step[e.key][1]);
      draw(); e.preventDefault();
    } else if (e.key === 'Enter' || e.key === ' ') { settle([...place, ...place]); e.preventDefault(); }
  };
}
"""


@cache
def _component() -> Any:
    return st.components.v2.component("sfcore.pixel_picker", html=_HTML, css=_CSS, js=_JS)


def pixel_picker(picture: bytes, label: str, key: str) -> Box | None:
    """Show a JPEG picture and return what was last clicked or brushed on it, or None."""
    before = st.session_state.get(key)
    box = before.get("box") if before else None
    result = _component()(data={"image": uri(picture), "label": label, "box": box}, key=key, on_box_change=lambda: None)
    return tuple(result.box) if result.box else None
