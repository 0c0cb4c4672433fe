"""Controls for the options of a method, made from its configuration: a new method needs no new page."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import streamlit as st

from sfcore.quant.objectives import OBJECTIVES
from sfcore.quant.recipe import GRANULARITIES, LEARNABLE, OF_THE_NET, SCHEDULES, SELECTIONS, Recipe

MAIN = ("k", "lam", "iterations", "batch", "learning_rate")  # shown at once; the others behind "More options"
LABELS = {
    "k": "Heads, k", "lam": "Confidence, λ", "learn": "What is learned", "reselect_every": "Reselect every",
    "rounding": "Weight of rounding", "first_exponent": "First β", "last_exponent": "Last β",
}  # fmt: skip
CHOICES = {"granularity": GRANULARITIES, "selection": SELECTIONS, "schedule": SCHEDULES}


def help_texts(method: type[Recipe]) -> dict[str, str]:
    """What the docstrings of a method and its bases say about each option."""
    found: dict[str, str] = {}
    for base in reversed(method.__mro__):
        text = inspect.cleandoc(base.__doc__ or "")
        section = text.partition("Attributes:\n")[2].partition("\n\n")[0]
        for name, said in re.findall(r"^    (\w+): (.+(?:\n        .+)*)", section, re.MULTILINE):
            found[name] = _sentence(said)
    return found


def _sentence(said: str) -> str:
    text = " ".join(said.split())
    return (text[0].upper() + text[1:]).replace("``", "")


def draw(method: type[Recipe], heads: int) -> dict[str, Any]:
    """Controls for every option of a method; returns those that differ from its defaults."""
    defaults = method()
    if not defaults.iterations:
        return {}
    names = offered(method)
    values = _grid(method, [name for name in MAIN if name in names], heads)
    with st.expander("More options", icon=":material/tune:"):
        values |= _grid(method, [name for name in names if name not in MAIN], heads)
    return {name: value for name, value in values.items() if value != _shown(defaults, name, heads)}


def offered(method: type[Recipe]) -> list[str]:
    """The options that change something, given what is chosen at present."""
    names, defaults = [spec.name for spec in fields(method) if spec.init], method()
    now = {name: st.session_state.get(f"t_{name}", getattr(defaults, name)) for name in names}
    idle: set[str] = set()
    if now["granularity"] != "net":
        idle |= {*OF_THE_NET, "lam", "k", "heads", "reselect_every", "check_every"}
    if now["objective"] == "plain":
        idle |= {"lam"}
    if now["selection"] in ("none", "fixed"):
        idle |= {"k", "reselect_every"}
    if now["selection"] != "fixed":
        idle |= {"heads"}
    if "rounding" not in now["learn"]:
        idle |= {"rounding", "warm_up", "first_exponent", "last_exponent"}
    if "weights" not in now["learn"]:
        idle |= {"reach"}
    if not {"steps", "offsets"} & set(now["learn"]):
        idle |= {"step_rate"}
    return [name for name in names if name not in idle]


def _shown(defaults: Recipe, name: str, heads: int) -> Any:
    """The default as the control shows it: k, which may be left to the number of heads, as a number."""
    return defaults.heads_to_select(heads) if name == "k" else getattr(defaults, name)


def _grid(method: type[Recipe], names: list[str], heads: int) -> dict[str, Any]:
    """Controls two by two, each pair a row of its own so that labels and fields line up."""
    texts, values = help_texts(method), {}
    for first in range(0, len(names), 2):
        columns = st.columns(2, gap="small", vertical_alignment="bottom")
        for name, column in zip(names[first : first + 2], columns, strict=False):
            with column:
                values[name] = _control(name, _shown(method(), name, heads), texts.get(name, ""), heads)
    return values


def _control(name: str, default: Any, text: str, heads: int) -> Any:
    """One control, by the type of the default."""
    label = LABELS.get(name, name.replace("_", " ").capitalize())
    key: dict[str, Any] = {"key": f"t_{name}", "bind": "query-params", "help": text or None}
    choices = OBJECTIVES.names() if name == "objective" else CHOICES.get(name)
    if choices:
        return st.selectbox(label, choices, index=choices.index(default), **key)
    if isinstance(default, bool):
        return st.checkbox(label, default, **key)
    if isinstance(default, int):
        return st.number_input(label, 0 if default == 0 else 1, heads if name == "k" else 1_000_000, default, **key)
    if default is None or isinstance(default, float):
        step = default / 5 if default else 0.1
        return st.number_input(label, 0.0, 1e6, default, step, format="%g", placeholder="none", **key)
    if name == "heads":
        return tuple(
            part.strip() for part in st.text_input(label, ", ".join(default), **key).split(",") if part.strip()
        )
    if name == "learn":
        return tuple(st.multiselect(label, LEARNABLE, list(default), **key))
    return st.text_input(label, default, **key)
