"""The choices of a search on the Tune page: what is varied around the run that is set there, and how it is tried."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app import style
from app.team.places import Place
from sfcore.errors import InputError
from sfcore.quant.methods import METHODS
from sfcore.quant.methods.options import idle
from sfcore.roots import allowed
from sfcore.runs import RunSpec
from sfcore.runs.launcher import LOCAL
from sfcore.search.folder import Search
from sfcore.search.pictures import title
from sfcore.search.samplers import GRID, SAMPLERS
from sfcore.search.space import BITS, Space
from sfcore.serving import serving

OFFERED = ("k", "lam", "learning_rate", BITS)  # axes that have a control of their own
MOST = 64  # trials of one search
USUAL = 12
FORM = "Values with commas between them (0.2,1,5), or a range (0.1:10; 0.1:10:log by factors). Empty: not varied."
ABOUT = {
    GRID: "every combination of the values",
    "random": "values drawn at random",
    "tpe": "Optuna's: near what was good so far",
}


def draw(spec: RunSpec, heads: int) -> Search:
    """Controls of a search around a run.

    Args:
        heads: of the detector.

    Raises:
        InputError: what was typed is no search.
    """
    unused = idle(METHODS[spec.method], spec.options)
    usual = {"k": ",".join(map(str, range(1, heads + 1))), "lam": "0.2,1,5"}
    over = list[str]()
    for first in range(0, len(OFFERED), 2):
        columns = st.columns(2, gap="small", vertical_alignment="bottom")
        for name, column in zip(OFFERED[first : first + 2], columns, strict=True):
            with column:
                text = _axis(name, spec, unused.get(name, ""), usual.get(name, ""))
            over += [f"{name}={text}"] if text else []
    more = st.text_input(
        "Other axes", key="s_more", bind="query-params", placeholder="batch=4,8 rounding=0.01:0.1:log",
        help="Any other options of the method, with spaces between them.",
    )  # fmt: skip
    over += more.split()
    if serving():
        _check_scheme_files(over)
    varied = {each.partition("=")[0].replace("-", "_") for each in over}
    around = replace(spec, options={name: value for name, value in spec.options.items() if name not in varied})
    return _how(around, tuple(over))


def at_once(place: Place) -> int:
    """A control for how many trials are worked on at a time; here they take turns, so there is nothing to choose."""
    if place.name == LOCAL:
        return 1
    return int(
        st.number_input(
            "Trials at a time", 1, MOST, 1, key="s_at_once", bind="query-params",
            help="Each on a machine of its own. TPE learns from those that are done: the more at a time, the less.",
        )
    )  # fmt: skip


def _axis(name: str, spec: RunSpec, why_not: str, usual: str) -> str:
    """The control of one axis; "" where it is not varied."""
    label = title(name, spec.method)
    label = f"{label[0].upper()}{label[1:]}" if len(label) > 1 else label
    text = st.text_input(
        label, "" if why_not else usual, key=f"s_{name}", bind="query-params", disabled=bool(why_not), help=FORM,
        placeholder=f"{spec.method} {why_not}" if why_not else "not varied",
    )  # fmt: skip
    return "" if why_not else "".join(text.split())


def _how(spec: RunSpec, over: tuple[str, ...]) -> Search:
    """The sampler, how many trials, and whether hopeless ones are stopped."""
    first, second = st.columns(2, gap="small", vertical_alignment="bottom")
    sampler = first.selectbox(
        "Sampler", list(SAMPLERS), key="s_sampler", bind="query-params",
        help="What chooses the values of the next trial.\n\n"
        + "\n".join(f"- **{name}**: {ABOUT.get(name, name)}" for name in SAMPLERS),
    )  # fmt: skip
    size = Space.written(spec, over).size() if over else 0
    most = second.number_input(
        "Trials at most", 1, MOST, USUAL, key="s_trials", bind="query-params", disabled=sampler == GRID,
        help="Each is a run of its own. A grid has as many as there are combinations.",
    )  # fmt: skip
    early = st.checkbox(
        "Stop hopeless trials early", True, key="s_early", bind="query-params",
        help="From the fifth on: those whose least distortion is above the median of the others at the same iteration.",
    )  # fmt: skip
    if not over:
        raise InputError("nothing is varied: give values of k, λ, the learning rate or bits")
    count = size if sampler == GRID else min(size, most)
    if sampler == GRID and count == float("inf"):
        raise InputError("a range has no grid: list its values, or choose the sampler random or tpe")
    if count > MOST:
        raise InputError(f"{count:g} trials are too many for one search: at most {MOST}; list fewer values")
    style.note(f"{count:g} {'trial' if count == 1 else 'trials'} over {', '.join(over)}.")
    return Search(spec.to_dict(), over, sampler, int(count), spec.seed, early)


def _check_scheme_files(over: list[str]) -> None:
    """Refuse files that a visitor of a team may not read. Raises InputError: one is."""
    for text in over:
        for value in text.partition("=")[2].split(","):
            if value.lower().endswith(".json"):
                allowed(value)
