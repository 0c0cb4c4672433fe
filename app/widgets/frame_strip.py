"""A row of small pictures to choose from, each with a line of text; arrow keys move between them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.widgets.component import component
from app.widgets.pictures import uri


@dataclass(frozen=True)
class Tile:
    """One picture of the strip.

    Attributes:
        name: what the strip answers with.
        picture: a small JPEG.
        label: the line under it.
        colour: of the dot before the label, or None for no dot.
    """

    name: str
    picture: bytes
    label: str
    colour: str | None = None


_CSS = """
.sf-strip { display: flex; gap: 0.6rem; overflow-x: auto; padding: 4px 4px 8px; scrollbar-width: thin; }
.sf-strip button { flex: 0 0 9.6rem; border: 2px solid transparent; border-radius: 0.5rem; padding: 3px;
  background: none; color: var(--st-text-color); font: 0.8rem/1.5 var(--st-font); text-align: left; cursor: pointer; }
.sf-strip button:hover { background: var(--st-secondary-background-color); }
.sf-strip button:focus-visible { outline: 3px solid var(--st-primary-color); }
.sf-strip button[aria-pressed=true] { border-color: var(--st-primary-color);
  background: var(--st-secondary-background-color); }
.sf-strip img { width: 100%; aspect-ratio: 16/9; object-fit: cover; border-radius: 0.3rem; display: block; }
.sf-strip span { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  padding: 0.15rem 0.2rem 0; }
.sf-strip i { display: inline-block; width: 0.55rem; height: 0.55rem; border-radius: 50%; margin-right: 0.35rem; }
"""

_JS = """
export default function({ data, parentElement, setStateValue }) {
  let strip = parentElement.querySelector('.sf-strip');
  if (!strip) {
    strip = document.createElement('div'); strip.className = 'sf-strip'; strip.setAttribute('role', 'group');
    parentElement.appendChild(strip);
  }
  const signature = JSON.stringify(data.frames.map((f) => [f.name, f.label, f.picture.length]));
  if (strip.dataset.signature !== signature) {
    strip.dataset.signature = signature;
    strip.replaceChildren(...data.frames.map((frame) => {
      const button = document.createElement('button');
      const picture = document.createElement('img'), text = document.createElement('span');
      picture.src = frame.picture; picture.alt = ''; text.textContent = frame.label;
      if (frame.colour) {
        const dot = document.createElement('i'); dot.style.background = frame.colour; text.prepend(dot);
      }
      button.type = 'button'; button.title = frame.name; button.dataset.name = frame.name;
      button.append(picture, text);
      return button;
    }));
  }
  const mark = (name) => strip.querySelectorAll('button').forEach(
    (b) => b.setAttribute('aria-pressed', String(b.dataset.name === name)));
  mark(data.chosen);
  const choose = (button) => { mark(button.dataset.name); setStateValue('chosen', button.dataset.name); };
  strip.onclick = (e) => { const button = e.target.closest('button'); if (button) choose(button); };
  strip.onkeydown = (e) => {
    const step = { ArrowLeft: 'previousElementSibling', ArrowRight: 'nextElementSibling' }[e.key];
    const next = step && document.activeElement && e.target[step];
    if (next) { next.focus(); choose(next); e.preventDefault(); }
  };
}
"""


def frame_strip(frames: list[Tile], key: str, default: str | None = None) -> str:
    """Show the frames and return the name of the chosen one; the first (or ``default``) at the start."""
    names = [frame.name for frame in frames]
    state = st.session_state.get(key)
    chosen = (state.get("chosen") if state else None) or default
    chosen = chosen if chosen in names else names[0]
    data = [{"name": f.name, "label": f.label, "colour": f.colour, "picture": uri(f.picture)} for f in frames]
    result = component("frame_strip", "", _CSS, _JS)(
        data={"frames": data, "chosen": chosen}, key=key, on_chosen_change=lambda: None
    )
    return result.chosen if result.chosen in names else chosen
