"""The layers of a quantized network in the order of data: what quantizing each costs, and its bits. Rows are selected.

A click selects a row, a drag brushes several; Shift extends, Ctrl or ⌘ toggles, a block's heading stands for its rows.
With keys: arrows, Home and End, with Shift or Ctrl; Space, Ctrl+A and Escape. What is selected is kept in the link.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from app.widgets.component import component
from app.widgets.links import keep, recall


@dataclass(frozen=True)
class Row:
    """One layer of the list.

    Attributes:
        index: its place among all layers of the network, whichever of them are shown.
        name: of the layer, such as "encoder.0.self_attn.scores".
        block: the heading that it stands under; "" for none.
        weights: bits; 0 for a product of two activations, which has no weights.
        activations: bits.
        weight_distortion: that quantizing its weights causes; None where it is not measured yet.
        activation_distortion: the same of its activations.
        head: whether it belongs to a head.
        pinned: whether its bits were set by hand.
    """

    index: int
    name: str
    block: str
    weights: int
    activations: int
    weight_distortion: float | None
    activation_distortion: float | None
    head: bool = False
    pinned: bool = False


_HTML = """
<div class="sf-layers">
  <div class="columns" aria-hidden="true">
    <span class="name">Layer</span>
    <span class="weights"><i class="most"></i><b>Weights</b></span>
    <span class="activations"><b>Activations</b><i class="most"></i></span>
    <span class="bits">Bits</span>
  </div>
  <div class="list" role="listbox" tabindex="0" aria-multiselectable="true"
    aria-label="Layers. Arrow keys, with Shift or Ctrl; Space, Ctrl+A and Escape."></div>
  <template data-of="block">
    <div class="block" aria-hidden="true"><span></span><em>head</em></div>
  </template>
  <template data-of="row">
    <div class="row" role="option">
      <span class="name"><bdi dir="ltr"><span></span><b></b></bdi></span>
      <span class="weights"><i></i></span>
      <span class="activations"><i></i></span>
      <svg viewBox="0 0 12 12"><title>Set by hand</title>
        <path d="M4 1h4l-.5 3.5L9.5 7H6.6L6 11.5 5.4 7H2.5l2-2.5z"/></svg>
      <b class="chip"></b><b class="chip"></b>
    </div>
  </template>
</div>
"""

_CSS = """
.sf-layers { --line: 22px; --faint: color-mix(in srgb, var(--st-text-color) 68%, transparent);
  --hair: color-mix(in srgb, var(--st-text-color) 30%, transparent); --of-head: #b8860b;
  --of-weights: color-mix(in oklab, #cc6f9f 88%, var(--st-text-color));
  --of-activations: color-mix(in oklab, #2b8cc4 88%, var(--st-text-color));
  position: relative; overflow: hidden auto; box-sizing: border-box; color: var(--st-text-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius, 0.4rem);
  font: 0.8rem/22px var(--st-font); scrollbar-width: thin; overscroll-behavior: contain; container-type: inline-size; }
.columns, .row { display: grid; align-items: center; height: var(--line); padding: 0 0.5rem 0 0.7rem;
  grid-template-columns: minmax(0, 1.7fr) minmax(0, 1fr) minmax(0, 1fr) 1.2rem 2.2rem 2.3rem; }
.columns { position: sticky; top: 0; z-index: 3; font-size: 0.72rem; font-weight: 600;
  background: var(--st-secondary-background-color); box-shadow: 0 1px var(--st-border-color); }
.columns .weights, .columns .activations { display: flex; justify-content: space-between; }
.columns .weights { color: var(--of-weights); padding-right: 0.35rem; }
.columns .activations { color: var(--of-activations); padding-left: 0.35rem; }
.columns .weights b { margin-left: auto; }
.columns .most { font: 0.68rem/22px var(--st-font); color: var(--faint); font-variant-numeric: tabular-nums; }
.columns .bits { grid-column: 5 / 7; text-align: center; }
.list { position: relative; user-select: none; touch-action: pan-y; cursor: default; outline: none; }
.block { position: sticky; top: var(--line); z-index: 2; height: var(--line); padding: 0 0.7rem; display: flex;
  gap: 0.6rem; font-size: 0.72rem; color: var(--faint); white-space: nowrap;
  background: color-mix(in srgb, var(--st-text-color) 5%, var(--st-background-color)); }
.block:hover { color: var(--st-text-color); }
.block span { overflow: hidden; text-overflow: ellipsis; }
.block em { display: none; font-style: normal; font-weight: 600; }
.block.head em { display: inline; }
.block.head::before, .row.head::before { content: ''; position: absolute; inset: 0 auto 0 0; width: 3px;
  background: var(--of-head); }
.row { position: relative; }
[role=presentation] > .row:first-child { box-shadow: inset 0 1px var(--st-border-color); }
.row:hover { background: color-mix(in srgb, var(--st-text-color) 6%, transparent); }
.row[aria-selected=true] { background: color-mix(in srgb, var(--st-primary-color) 27%, transparent); }
.list:focus-visible .row.active { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
.row .name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; direction: rtl; text-align: left;
  padding-right: 0.6rem; }
.row .name span { color: var(--faint); }
.row[aria-selected=true] .name span { color: color-mix(in srgb, var(--st-text-color) 84%, transparent); }
.row .name b { font-weight: 600; }
.row .weights, .row .activations { display: flex; align-items: center; height: 100%; }
.row .weights { justify-content: flex-end; }
.row .activations { border-left: 1px solid var(--hair); }
.row i { display: block; box-sizing: border-box; height: 10px; transition: width 0.25s; }
.row .weights i { background: var(--of-weights); border-radius: 2px 0 0 2px; }
.row .activations i { background: var(--of-activations); border-radius: 0 2px 2px 0; }
.row .unknown i { width: 10px; background: none; border: 1px dashed var(--hair); }
.row .absent i { display: none; }
.row svg { width: 11px; height: 11px; justify-self: center; fill: currentColor; visibility: hidden; }
.row.pinned svg { visibility: visible; }
.chip { box-sizing: border-box; height: 16px; margin-left: 2px; border-radius: 3px; text-align: center;
  font: 600 0.68rem/16px var(--st-font); font-variant-numeric: tabular-nums; color: var(--ink);
  background: var(--tint); box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--st-text-color) 22%, transparent); }
.chip:empty { visibility: hidden; }
@container (max-width: 440px) { .columns .most { display: none; } }
@media (prefers-reduced-motion: reduce) { .row i { transition: none; } }
"""

_JS = """
// Fewer bits are lighter and warmer, more of them darker and cooler: [up to so many bits, fill, text on it].
const DARK = '#1b2430', TINTS = [[2, '#fbe6a4', DARK], [3, '#f6d48b', DARK], [4, '#edc07c', DARK], [5, '#d9b491', DARK],
  [6, '#c0b0a4', DARK], [7, '#a7b1ba', DARK], [8, '#8fb0cc', DARK], [16, '#2c5080', '#fff'], [32, '#1c2f50', '#fff']];

export default function({ data, parentElement, setStateValue }) {
  const box = parentElement.querySelector('.sf-layers'), list = box.querySelector('.list');
  const state = box.state ?? (box.state = { names: null, selected: new Set(), active: -1, sent: data.heard });
  box.style.height = data.height + 'px';

  const made = (name) => box.querySelector(`template[data-of=${name}]`).content.firstElementChild.cloneNode(true);
  const headed = (block) => {
    const heading = made('block');
    heading.firstElementChild.textContent = heading.title = block;
    return heading;
  };
  const option = (row, place) => {
    const element = made('row'), [prefix, rest] = element.querySelector('bdi').children;
    const start = row.block && row.name.startsWith(row.block + '.') ? row.block.length : row.name.lastIndexOf('.');
    prefix.textContent = row.name.slice(0, start + 1); rest.textContent = row.name.slice(start + 1);
    element.id = 'row-' + place; element.span = [place, place];
    element.querySelector('.name').title = row.name;
    return element;
  };
  const build = () => {
    let group = null;
    const groups = [];
    state.options = data.rows.map((row, place) => {
      if (!group || row.block !== data.rows[place - 1].block) {
        group = document.createElement('div'); groups.push(group);
        group.heading = row.block && row.block !== row.name ? headed(row.block) : null;
        group.setAttribute('role', group.heading ? 'group' : 'presentation');
        if (group.heading) {
          group.setAttribute('aria-label', row.block); group.append(group.heading); group.heading.span = [place, place];
        }
      }
      if (group.heading) group.heading.span[1] = place;
      const element = option(row, place);
      group.append(element);
      return element;
    });
    list.replaceChildren(...groups);
  };

  const said = (value) => value == null ? 'not measured' : Number(value.toPrecision(3)).toString();
  const bar = (side, what, bits, value, most) => {
    side.className = what + (bits ? value == null ? ' unknown' : '' : ' absent');
    side.firstElementChild.style.width = value > 0 ? `max(1.5px, ${100 * value / most}%)` : value == null ? '' : '0';
    return side.title = bits ? `${what} at ${bits} bits: distortion ${said(value)}` : 'no weights';
  };
  const chip = (element, letter, bits) => {
    element.textContent = bits ? letter + bits : '';
    const [, tint, ink] = TINTS.find(([most]) => bits <= most) ?? TINTS.at(-1);
    element.style.setProperty('--tint', tint); element.style.setProperty('--ink', ink);
  };
  const fill = (element, row, most) => {
    const [weights, activations] = ['.weights', '.activations'].map((part) => element.querySelector(part));
    const chips = element.querySelectorAll('.chip');
    const texts = [bar(weights, 'weights', row.weights, row.weight_distortion, most),
      bar(activations, 'activations', row.activations, row.activation_distortion, most)];
    chip(chips[0], 'W', row.weights); chip(chips[1], 'A', row.activations);
    element.classList.toggle('head', row.head); element.classList.toggle('pinned', row.pinned);
    if (row.head) element.parentElement.heading?.classList.add('head');
    const marks = [...row.head ? ['head'] : [], ...row.pinned ? ['set by hand'] : []];
    element.setAttribute('aria-label', [row.name, ...texts, ...marks].join('; '));
  };
  const update = () => {
    const most = Math.max(0, ...data.rows.flatMap((row) => [row.weight_distortion, row.activation_distortion]));
    box.querySelectorAll('.most').forEach((end) => { end.textContent = most ? said(most) : ''; });
    list.querySelectorAll('.block').forEach((heading) => heading.classList.remove('head'));
    state.options.forEach((element, place) => fill(element, data.rows[place], most));
  };

  const paint = () => {
    state.options.forEach((element, place) => {
      element.setAttribute('aria-selected', String(state.selected.has(place)));
      element.classList.toggle('active', place === state.active);
    });
    if (state.active < 0) list.removeAttribute('aria-activedescendant');
    else list.setAttribute('aria-activedescendant', 'row-' + state.active);
  };
  const indices = () => [...state.selected].map((place) => data.rows[place].index).sort((a, b) => a - b);
  const send = () => {
    const now = indices();
    if (String(now) === state.told) return;
    state.told = String(now); state.sent += 1;
    setStateValue('selected', { gesture: state.sent, indices: now });
  };
  // What the server answers to an earlier gesture, or in the middle of one, does not undo what was selected since.
  const take = () => {
    const chosen = new Set(data.selected);
    state.selected = new Set(data.rows.flatMap((row, place) => chosen.has(row.index) ? [place] : []));
    state.told = String(indices());
  };

  const names = JSON.stringify(data.rows.map((row) => [row.index, row.name, row.block]));
  const other = names !== state.names;
  if (other) { Object.assign(state, { names, press: null, held: false, anchor: null, active: -1 }); build(); }
  update();
  if (other || (!state.press && !state.held && data.heard >= state.sent)) take();
  paint();

  const reach = (base, on, [from, to]) => {
    state.selected = new Set(base);
    const first = Math.min(state.anchor[0], from), last = Math.max(state.anchor[1], to);
    for (let place = first; place <= last; place++) state.selected[on ? 'add' : 'delete'](place);
    paint();
  };
  const top = (row) => (row.previousElementSibling?.matches('.row') ? row : row.parentElement).offsetTop;
  const brush = () => {
    const y = state.press.y - list.getBoundingClientRect().top;
    state.active = Math.max(0, state.options.findLastIndex((row) => top(row) <= y));
    reach(state.press.base, state.press.on, [state.active, state.active]);
  };
  const glide = () => {  // a drag beyond the box scrolls it
    if (!state.press) return;
    const edge = box.getBoundingClientRect(), y = state.press.y;
    const by = Math.max(0, y - edge.bottom) - Math.max(0, edge.top + list.offsetTop - y);
    if (by && state.press.moved) { box.scrollTop += by / 4; brush(); }
    requestAnimationFrame(glide);
  };
  list.onpointerdown = (e) => {
    const span = e.target.closest('.row, .block')?.span;
    if (!span || e.button) return;
    const toggle = e.ctrlKey || e.metaKey, extend = e.shiftKey && state.anchor;
    const whole = state.options.slice(span[0], span[1] + 1).every((_, place) => state.selected.has(span[0] + place));
    if (!extend) state.anchor = span;
    state.press = { y: e.clientY, before: state.selected, base: toggle ? state.selected : [] };
    state.press.on = extend || !toggle || !whole;
    state.active = span[0];
    list.setPointerCapture(e.pointerId);
    reach(state.press.base, state.press.on, span);
    requestAnimationFrame(glide);
  };
  list.onpointermove = (e) => {
    if (!state.press || e.clientY === state.press.y) return;
    Object.assign(state.press, { y: e.clientY, moved: true });
    brush();
  };
  list.onpointerup = () => { if (state.press) { state.press = null; send(); } };
  list.onpointercancel = () => {
    if (state.press) { state.selected = state.press.before; state.press = null; paint(); }
  };

  const reveal = () => {
    const line = list.offsetTop, place = line + state.options[state.active].offsetTop;
    box.scrollTop = Math.min(Math.max(box.scrollTop, place + line - box.clientHeight), place - 2 * line);
  };
  const move = (to, extend, only) => {
    const from = state.anchor ?? [Math.max(0, state.active), Math.max(0, state.active)];
    state.active = Math.min(Math.max(to, 0), state.options.length - 1);
    const here = [state.active, state.active];
    reveal();
    if (only) return;
    state.anchor = extend ? from : here;
    reach([], true, here);
  };
  const toggled = (place) => {
    state.anchor = [place, place];
    reach(state.selected, !state.selected.has(place), state.anchor);
  };
  list.onkeydown = (e) => {
    const count = state.options.length, command = e.ctrlKey || e.metaKey, at = state.active;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: count - 1 }[e.key];
    if (!count || e.altKey) return;
    if (to !== undefined) move(to, e.shiftKey, command);
    else if (e.key === ' ' && at >= 0) toggled(at);
    else if (command && e.key.toLowerCase() === 'a') state.selected = new Set(state.options.keys());
    else if (e.key === 'Escape') state.selected = new Set();
    else return;
    state.held = true; e.preventDefault(); paint();
  };
  list.onkeyup = list.onblur = () => { if (state.held) { state.held = false; send(); } };
}
"""


def layer_list(rows: Sequence[Row], key: str, height: int = 560) -> list[int]:
    """Show the list and return the indices of the selected rows.

    Args:
        rows: those to show, in the order of data. Bars are lengths on a scale that ends at the most of these.
        key: names the selection in the link. Rows that it has and that are not shown stay selected there until
            others are selected.
        height: of the box that the list scrolls in, in pixels.
    """
    name = f"{key} list"

    def selected() -> None:
        keep(key, as_text(st.session_state[name]["selected"]["indices"]) or None)

    shown = {row.index for row in rows}
    chosen = [index for index in as_selection(recall(key), max(shown, default=-1) + 1) if index in shown]
    last = (st.session_state.get(name) or {}).get("selected")
    data = {"rows": [_plain(row) for row in rows], "selected": chosen, "height": height}
    data["heard"] = last["gesture"] if last else 0
    component("layer_list", _HTML, _CSS, _JS)(data=data, key=name, on_selected_change=selected)
    return chosen


def _plain(row: Row) -> dict[str, Any]:
    """The row as JSON can say it: a distortion that is no number counts as not measured."""
    values = {"weight_distortion": row.weight_distortion, "activation_distortion": row.activation_distortion}
    finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
    return asdict(row) | finite


def as_selection(text: str | None, count: int) -> list[int]:
    """ "3,7-12" as indices below ``count``, ascending; what is malformed or out of range is dropped."""
    found: set[int] = set()
    for part in (text or "").split(","):
        if match := re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part):
            first, last = int(match[1]), int(match[2] or match[1])
            found.update(range(first, min(last + 1, count)))
    return sorted(found)


def as_text(indices: Iterable[int]) -> str:
    """Indices as "3,7-12", the shortest form of :func:`as_selection`; "" for none."""
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and index == runs[-1][-1] + 1:
            runs[-1][1:] = [index]
        else:
            runs.append([index])
    return ",".join("-".join(map(str, run)) for run in runs)
