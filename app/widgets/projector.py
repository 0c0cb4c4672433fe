"""The view for a projector: nothing but the page, in large type, on the whole screen; Esc or a small button leaves it.

It is part of the address, as ``projector=true``, and stays on from page to page.
"""

from __future__ import annotations

import streamlit as st

from app.widgets.component import component

ON = "projector"  # in the address and in the session
_BUTTON = "projector-button"

_HTML = '<button type="button" class="sf-projector"></button>'

_CSS = """
.sf-projector { font: 500 0.9rem/1.4 var(--st-font); color: var(--st-text-color); width: 100%; padding: 0.4rem 0.8rem;
  background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color); cursor: pointer;
  border-radius: var(--st-button-radius); }
.sf-projector:hover { border-color: var(--st-primary-color); }
.sf-projector:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.sf-projector.on { position: fixed; right: 0.8rem; bottom: 0.8rem; width: auto; z-index: 1000; font-size: 0.75rem;
  opacity: 0.6; padding: 0.15rem 0.7rem; }
.sf-projector.on:hover, .sf-projector.on:focus-visible { opacity: 1; }
"""

_JS = """
export default function({ data, parentElement, setTriggerValue }) {
  const button = parentElement.querySelector('.sf-projector');
  button.textContent = data.on ? 'Leave (Esc)' : 'Projector view';
  button.classList.toggle('on', data.on);
  const turn = (on) => setTriggerValue('turned', on ? 'on' : 'off');
  button.onclick = () => {
    if (data.on && document.fullscreenElement) document.exitFullscreen();
    if (!data.on) document.documentElement.requestFullscreen?.().catch(() => {});
    turn(!data.on);
  };
  if (!data.on) return;
  const key = (e) => { if (e.key === 'Escape') turn(false); };
  const screen = () => { if (!document.fullscreenElement) turn(false); };
  document.addEventListener('keydown', key);
  document.addEventListener('fullscreenchange', screen);
  return () => {
    document.removeEventListener('keydown', key);
    document.removeEventListener('fullscreenchange', screen);
  };
}
"""


def on() -> bool:
    """Whether this visitor looks through a projector."""
    return st.session_state.setdefault(ON, st.query_params.get(ON) == "true")


def button() -> None:
    """What turns the view on; when it is on, what leaves it."""
    if on():
        st.query_params[ON] = "true"
    elif ON in st.query_params:
        del st.query_params[ON]
    component("projector", _HTML, _CSS, _JS)(data={"on": on()}, key=_BUTTON, on_turned_change=_turn)


def _turn() -> None:
    st.session_state[ON] = st.session_state[_BUTTON].turned == "on"
