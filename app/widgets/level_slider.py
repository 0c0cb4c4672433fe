"""A slider whose value reaches the server while it is dragged, as fast as the server answers and no faster.

Streamlit's own sliders tell their value when they are let go. This one sends a value, waits until the page has been
drawn with it, and sends the newest one then.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.widgets.component import component
from app.widgets.links import keep, recall

_HTML = """
<div class="sf-level">
  <div class="top"><span class="name"></span><button type="button" class="help">?</button></div>
  <output></output>
  <input type="range" min="0" step="1">
</div>
"""

_CSS = """
.sf-level { position: relative; font-family: var(--st-font); color: var(--st-text-color); --at: 0; }
.sf-level .top { display: flex; justify-content: space-between; align-items: center; height: 1.5rem;
  font-size: 0.875rem; margin-bottom: 0.25rem; }
.sf-level .help { width: 1.05rem; height: 1.05rem; padding: 0; border: 1.5px solid currentColor; border-radius: 50%;
  background: none; color: inherit; opacity: 0.62; font: 600 0.7rem/1 var(--st-font); cursor: help; }
.sf-level .help::after { content: attr(data-text); position: absolute; right: 0; top: 1.7rem; width: 17rem; z-index: 9;
  padding: 0.5rem 0.75rem; border-radius: 0.5rem; background: var(--st-secondary-background-color);
  color: var(--st-text-color); font: 0.875rem/1.45 var(--st-font); text-align: left; visibility: hidden;
  box-shadow: 0 4px 16px rgba(0,0,0,.25); }
.sf-level .help:hover, .sf-level .help:focus-visible { opacity: 1; }
.sf-level .help:hover::after, .sf-level .help:focus-visible::after { visibility: visible; }
.sf-level .help:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
.sf-level output { position: absolute; top: 1.5rem; left: calc(0.5rem + var(--at) * (100% - 1rem));
  transform: translateX(-50%); font-size: 0.875rem; line-height: 1.2; color: var(--st-primary-color);
  white-space: nowrap; font-variant-numeric: tabular-nums; pointer-events: none; }
.sf-level input { width: 100%; margin: 0.75rem 0 0; height: 1.5rem; appearance: none; background: none;
  cursor: pointer; }
.sf-level input::-webkit-slider-runnable-track { height: 0.25rem; border-radius: 0.25rem;
  background: linear-gradient(90deg, var(--st-primary-color) calc(var(--at) * 100%),
  var(--st-secondary-background-color) 0); box-shadow: 0 0 0 1px rgba(138,147,163,.25); }
.sf-level input::-moz-range-track { height: 0.25rem; border-radius: 0.25rem; background: rgba(138,147,163,.4); }
.sf-level input::-moz-range-progress { height: 0.25rem; border-radius: 0.25rem; background: var(--st-primary-color); }
.sf-level input::-webkit-slider-thumb { appearance: none; width: 1rem; height: 1rem; margin-top: -0.375rem;
  border-radius: 50%; background: var(--st-primary-color); }
.sf-level input::-moz-range-thumb { border: none; width: 1rem; height: 1rem; border-radius: 50%;
  background: var(--st-primary-color); }
.sf-level input:focus-visible { outline: none; }
.sf-level input:focus-visible::-webkit-slider-thumb { box-shadow: 0 0 0 4px rgba(86,180,233,.55); }
.sf-level input:focus-visible::-moz-range-thumb { box-shadow: 0 0 0 4px rgba(86,180,233,.55); }
"""

_JS = """
const PATIENCE = 1500;  // milliseconds after which an answer counts as lost; twice as many each time, for a busy server

export default function({ data, parentElement, setStateValue }) {
  const box = parentElement.querySelector('.sf-level'), range = box.querySelector('input');
  const help = box.querySelector('.help');
  box.querySelector('.name').textContent = data.label;
  help.dataset.text = data.help; help.setAttribute('aria-label', data.help);
  range.max = data.texts.length - 1;
  range.setAttribute('aria-label', data.label);
  const show = () => {
    box.querySelector('output').textContent = data.texts[range.value];
    range.setAttribute('aria-valuetext', data.texts[range.value]);
    box.style.setProperty('--at', range.value / range.max);
  };
  const send = () => {
    if (box.wanted == null || box.sent != null) return;
    box.sent = box.wanted;
    wait();
    setStateValue('index', box.sent);
  };
  const wait = () => {
    box.timer = setTimeout(() => { box.patience *= 2; box.sent = null; send(); }, box.patience ??= PATIENCE);
  };
  clearTimeout(box.timer);
  if (data.index === box.sent) { box.sent = null; box.patience = PATIENCE; }
  if (data.index === box.wanted) box.wanted = null;
  if (box.sent != null) wait();
  if (box.wanted == null) range.value = data.index;
  show();
  send();
  range.oninput = () => { box.wanted = Number(range.value); show(); send(); };
  return () => clearTimeout(box.timer);
}
"""


def chosen(texts: Sequence[str], default: str, key: str) -> int:
    """Which of the slider's texts is chosen; the link and the session keep it under ``key``."""
    text = recall(key)
    return texts.index(text if text in texts else default)


def level_slider(label: str, texts: Sequence[str], index: int, key: str, help: str) -> None:
    """Show the slider at ``index``. Call it after what should be drawn before the next value comes."""

    def moved() -> None:
        keep(key, texts[st.session_state[f"{key} slider"]["index"]])

    data = {"label": label, "help": help, "texts": list(texts), "index": index}
    component("level_slider", _HTML, _CSS, _JS)(data=data, key=f"{key} slider", on_index_change=moved)
