"""The choice of a scheme: the bits of all layers, of the heads' branches and of any others; and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import style
from app.session import PATHS, DetectorChoice, load_detector
from sfcore.errors import InputError
from sfcore.quant.cost import Cost, Profile
from sfcore.quant.scheme import HEADS, Rule, Scheme, parse_rules
from sfcore.quant.targets import TARGETS
from sfcore.roots import allowed
from sfcore.serving import serving

SCHEMES = ("W8A8", "W8A4", "W4A4")  # that are offered; others are typed
TUNED = (*SCHEMES, "W1A8")  # those that come to something where a method tunes them
USUAL = SCHEMES[-1]
AS_ALL = "as all"
HEAD_RULES = {bits: Rule(HEADS, int(bits), int(bits)) for bits in ("8", "16")}


def choose() -> Scheme:
    """Controls for all bits of a scheme.

    Raises:
        InputError: what was typed is no scheme, or no rule of one.
    """
    first, second = st.columns(2, gap="small", vertical_alignment="bottom")
    scheme = Scheme.parse(bits_box(first, "t_bits", TUNED))
    typed = any(rule.pattern == HEADS for rule in scheme.rules)
    heads = second.selectbox(
        "Heads' bits", (AS_ALL, *HEAD_RULES), key="t_head_bits", bind="query-params", disabled=typed,
        help="Of the branches of the heads: each last layer and those beside it. They are often small, and what they "
        "get wrong moves all that is found; see below what more bits for them cost.",
    )  # fmt: skip
    others = st.text_input(
        "Other layers' bits", key="t_layer_bits", bind="query-params", placeholder="backbone.*=W6, *.mix=A8",
        help="Names of layers, as the command sfcore layers lists them, or patterns of names; after each =8, =W8A4, "
        "=W8 or =A8. The last one that fits a layer counts.",
    )  # fmt: skip
    own = () if typed or heads == AS_ALL else (HEAD_RULES[heads],)
    return replace(scheme, rules=(*scheme.rules, *own, *parse_rules(others)))


def bits_box(place: DeltaGenerator, key: str, schemes: Sequence[str] = SCHEMES, usual: str = USUAL) -> str:
    """A control for the bits of all layers, in the link; whatever is typed into it, which may be no scheme."""
    before = f"{key} before"

    def complete() -> None:
        """The control loses what it showed when something is typed after it."""
        text = st.session_state[key]
        if text.startswith((",", "-")):
            st.session_state[key] = st.session_state.get(before, usual) + text

    bits = place.selectbox(
        "Bits", schemes, index=schemes.index(usual), key=key, bind="query-params", accept_new_options=True,
        on_change=complete,
        help="W4A4 is 4 bits for weights and 4 for activations. Type others, from 1 to 16; weights of 1 bit are signs, "
        "which the method DIR-Net learns. What is typed after them like W4A4,heads=16 is for some layers only; or type "
        "the path of a scheme file (.json). First and last layers keep 8. What will run it may follow, as in "
        f"W8A8-portable-adds: {', '.join(TARGETS)}; -adds rounds residual adds, too.",
    )  # fmt: skip
    st.session_state[before] = bits
    if serving() and bits.strip().lower().endswith(".json"):
        allowed(bits.strip())
    return bits


def in_markdown(scheme: Scheme) -> str:
    """The name of a scheme; as code where it has rules, whose patterns Markdown would take for its own signs."""
    return f"`{scheme.name}`" if scheme.rules else scheme.name


def filled(scheme: Scheme) -> Mapping[str, Any]:
    """What the controls hold where a scheme is chosen; grids have controls of their own."""
    first = str(scheme.rules[0]).removeprefix(f"{HEADS}=") if scheme.rules else AS_ALL
    heads = first if first in HEAD_RULES else AS_ALL
    others = scheme.rules if heads == AS_ALL else scheme.rules[1:]
    bits = replace(scheme, per_tensor=False, affine=False, adds=False, target="").base
    return {"t_bits": bits, "t_head_bits": heads, "t_layer_bits": ", ".join(map(str, others))}


def cost(choice: DetectorChoice, scheme: Scheme) -> Cost:
    """What a scheme costs a detector.

    Raises:
        InputError: the detector cannot be quantized, or has no layer of a name that the scheme gives bits to.
    """
    return _profile(choice).cost(scheme)


@st.cache_data(max_entries=64, show_spinner="Counting operations", hash_funcs=PATHS)
def _profile(choice: DetectorChoice) -> Profile:
    return Profile.of(load_detector(choice))


def say_cost(choice: DetectorChoice, scheme: Scheme) -> None:
    """What a scheme costs a detector, in a quiet line; or why it does not go with it."""
    try:
        style.note(f"{cost(choice, scheme)}.")
    except InputError as error:
        style.problem(error)
