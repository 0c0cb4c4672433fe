"""A picture to click or to brush: it answers with a point or a rectangle in shares of the picture, kept in the link."""

from __future__ import annotations

import streamlit as st

from app.widgets.component import component
from app.widgets.links import keep, recall
from app.widgets.pictures import FIT, uri

Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of the picture; a point has no size

_HTML = """
<figure class="sf-picker" tabindex="0" role="application">
  <img alt=""><span class="box"></span><span class="cursor"></span>
  <button type="button" class="clear" title="Clear the selection (Escape)" aria-label="Clear the selection">✕</button>
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
.sf-picker .clear { position: absolute; display: none; top: 0.6rem; right: 0.6rem; width: 1.9rem; height: 1.9rem;
  padding: 0; font: 600 0.85rem/1 var(--st-font); color: #fff; background: rgba(12,18,28,.78); cursor: pointer;
  border: 1px solid rgba(255,255,255,.5); border-radius: 0.35rem; }
.sf-picker.chosen .clear { display: block; }
.sf-picker .clear:focus-visible { outline: 3px solid var(--st-primary-color); }
"""

_JS = """
export default function({ data, parentElement, setStateValue }) {
  const figure = parentElement.querySelector('.sf-picker');
  const [image, box, cursor, clear] = ['img', '.box', '.cursor', '.clear'].map((part) => figure.querySelector(part));
  fit(image, figure);
  if (image.src !== data.image) image.src = data.image;
  image.alt = data.label;
  figure.setAttribute('aria-label', data.label + '. Click or drag; or arrow keys, Enter and Escape.');
  const clip = (v) => Math.min(Math.max(v, 0), 1);
  const show = (b) => {
    box.style.display = b ? 'block' : 'none';
    figure.classList.toggle('chosen', Boolean(b));
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
  const forget = () => { show(null); setStateValue('box', null); figure.focus(); };
  show(data.box);
  clear.onclick = forget;
  let start = null;
  figure.onpointerdown = (e) => {
    if (e.target === clear) return;
    start = at(e); figure.setPointerCapture(e.pointerId); show([...start, ...start]);
  };
  figure.onpointermove = (e) => { if (start) show(between(start, at(e))); };
  figure.onpointerup = (e) => { if (start) { const b = between(start, at(e)); start = null; settle(b); } };
  figure.onpointercancel = () => { start = null; show(data.box); };
  const place = figure.place ?? (figure.place = [0.5, 0.7]);
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const draw = () => { cursor.style.left = 100 * place[0] + '%'; cursor.style.top = 100 * place[1] + '%'; };
  draw();
  figure.onkeydown = (e) => {
    if (e.target === clear) return;
    if (step[e.key]) {
      const size = e.shiftKey ? 0.05 : 0.0125;
      place[0] = clip(place[0] + size * step[e.key][0]); place[1] = clip(place[1] + size * step[e.key][1]);
      draw(); e.preventDefault();
    } else if (e.key === 'Enter' || e.key === ' ') { settle([...place, ...place]); e.preventDefault();
    } else if (e.key === 'Escape') { forget(); }
  };
}
"""


def pixel_picker(picture: bytes, label: str, key: str) -> Box | None:
    """Show a JPEG picture and return what was last clicked or brushed on it, or None; ``key`` names it in the link."""

    def picked() -> None:
        box = st.session_state[f"{key} picker"]["box"]
        keep(key, ",".join(f"{share:g}" for share in box) if box else None)

    box = as_box(recall(key))
    data = {"image": uri(picture), "label": label, "box": box}
    component("pixel_picker", _HTML, _CSS, FIT + _JS)(data=data, key=f"{key} picker", on_box_change=picked)
    return box


def as_box(text: str | None) -> Box | None:
    """ "0.2,0.5,0.4,0.8" as a box; None for what is no rectangle within the picture."""
    try:
        left, top, right, bottom = (float(share) for share in (text or "").split(","))
    except ValueError:
        return None
    return (left, top, right, bottom) if 0 <= left <= right <= 1 and 0 <= top <= bottom <= 1 else None
