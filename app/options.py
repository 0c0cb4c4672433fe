"""Controls for the options of a method, made from its configuration: a new method needs no new page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from app import launchers, style
from app.scheme import filled
from app.session import forget_unknown, weights_of
from sfcore.detectors.registry import entry
from sfcore.errors import InputError
from sfcore.names import printable
from sfcore.quant.methods import methods
from sfcore.quant.methods.effort import PUBLISHED, described, efforts, preset, usual
from sfcore.quant.methods.options import MAIN, NAMES, Option, defaults, in_use, options_of
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.transforms import beyond_usual
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.shipped import ships

MOST = 1_000_000  # of an option that has no bound of its own
ELSEWHERE = "images elsewhere"  # where the session keeps why a run's images are not chosen


def draw(method: type[Recipe], heads: int) -> dict[str, Any]:
    """Controls for every option of a method; returns those that differ from its defaults."""
    if not method().iterations:
        return {}
    shown = start_values(method, effort_control(method, heads), heads)
    names = offered(method)
    values = _grid(method, [name for name in MAIN if name in names], shown, heads)
    with st.expander("More options", icon=":material/tune:"):
        values |= _grid(method, [name for name in names if name not in MAIN], shown, heads)
    published = start_values(method, PUBLISHED, heads)
    return {name: value for name, value in values.items() if value != published[name]}


def effort_control(method: type[Recipe], heads: int) -> str:
    """How much work the run may be; choosing fills in steps, batch and rates."""
    known = efforts(method)
    forget_unknown("t_effort", known)
    effort = st.selectbox(
        "Effort", known, index=known.index(usual(method)), key="t_effort", bind="query-params", on_change=refill,
        args=(heads,),
        help="Published runs take hours without a GPU. Quick look: minutes, to see which way it goes. Thorough: what "
        "a CPU can do over lunch. Each fills in steps, batch and rates that go together; change them as you like.",
    )  # fmt: skip
    style.note(described(method, effort))
    return effort


def take_up(heads: int) -> None:
    """Put the calibrators and every option to those of the method that was just chosen; for use as a callback."""
    weights, activations = methods()[st.session_state["t_method"]].calibrators
    st.session_state.update({"t_weights": weights, "t_activations": activations})
    refill(heads)


def refill(heads: int) -> None:
    """Put every option to what the chosen method and effort begin with; for use as a callback."""
    method = methods()[st.session_state["t_method"]]
    effort = st.session_state.get("t_effort")
    effort = effort if effort in efforts(method) else usual(method)
    st.session_state["t_effort"] = effort
    fill(start_values(method, effort, heads))


def fill(values: Mapping[str, Any]) -> None:
    """Put options to values, as their controls hold them; before they are drawn, or in a callback."""
    for name, value in values.items():
        if name == "heads":
            value = ", ".join(value)
        st.session_state[f"t_{name}"] = list(value) if name == "learn" else 0.0 if value is None else value


def start_values(method: type[Recipe], effort: str, heads: int) -> dict[str, Any]:
    """All options of a method with an effort; k, which may be left to the number of heads, as a number."""
    return defaults(method) | {"k": method().heads_to_select(heads)} | preset(method, effort)


def fill_from(run: RunFolder) -> None:
    """Put all controls of the Tune page, and the sidebar, to what a run was asked; for use as a callback.

    What the sidebar cannot name, such as several folders of images, stays as it is there; the Tune page says so.
    """
    spec = run.spec
    scheme, method = spec.full_scheme(), methods()[spec.method]
    _fill_sidebar(spec)
    _fill_images(run)
    heads = len(entry(spec.detector).sample.heads)
    settings = {name: getattr(spec.settings(), name) for name in start_values(method, PUBLISHED, heads)}
    settings["k"] = spec.settings().heads_to_select(heads)
    fits = (each for each in efforts(method) if preset(method, each).items() <= settings.items())
    st.session_state.update({
        **filled(scheme), "t_tensor": scheme.per_tensor, "t_affine": scheme.affine,
        "t_adds": scheme.adds, "t_target": scheme.target,
        "t_weights": spec.weight_calibrator, "t_activations": spec.activation_calibrator,
        "t_transforms": list(beyond_usual(spec.transforms)), "t_corrected": spec.bias_correction,
        "t_method": spec.method, "t_effort": next(fits), "t_seed": spec.seed, "t_device": spec.device,
    })  # fmt: skip
    launchers.fill_from(run)
    if count := spec.limit or run.record().get("images"):
        st.session_state.update({"t_limit": count, "limit": count})
    fill(settings)


def _fill_sidebar(spec: RunSpec) -> None:
    """Choose a run's detector and weights."""
    st.session_state.update({"detector": spec.detector, "detector before": spec.detector, **weights_of(spec)})


def _fill_images(run: RunFolder) -> None:
    """Choose a run's images, where they are one source and still there."""
    images = run.spec.images
    st.session_state.pop(ELSEWHERE, None)
    if len(images) == 1 and Path(images[0]).parent == sample_data():
        st.session_state["images"] = "Samples"
    elif ships(run) or not _there(run):
        st.session_state[ELSEWHERE] = (
            f"The images that the run {run.name} took ({printable(Path(images[0]).name)}) are not on this machine. "
            "Those of the sidebar are taken instead."
        )
    elif len(images) == 1:
        st.session_state.update({"images": "Folder", "folder": printable(images[0])})
    else:
        first = printable(Path(images[0]).name)
        st.session_state[ELSEWHERE] = (
            f"The run took {len(images)} sources of images, {first} first. The sidebar holds one: choose it there."
        )


def _there(run: RunFolder) -> bool:
    """Whether a run's sources of images can still be read."""
    try:
        return bool(run.spec.image_set())
    except (InputError, OSError):
        return False


def offered(method: type[Recipe]) -> list[str]:
    """The options that change something, given what is chosen at present."""
    chosen = {name: st.session_state[f"t_{name}"] for name in options_of(method) if f"t_{name}" in st.session_state}
    return in_use(method, chosen)


def _grid(method: type[Recipe], names: list[str], shown: Mapping[str, Any], heads: int) -> dict[str, Any]:
    """Controls two by two, each pair a row of its own so that labels and fields line up."""
    known, values = options_of(method), {}
    for first in range(0, len(names), 2):
        columns = st.columns(2, gap="small", vertical_alignment="bottom")
        for name, column in zip(names[first : first + 2], columns, strict=False):
            with column:
                values[name] = _control(known[name], shown[name], heads)
    return values


def _control(option: Option, default: Any, heads: int) -> Any:
    """One control, by what the option may be."""
    label, choices = option.label, tuple(option.choices)
    key: dict[str, Any] = {"key": f"t_{option.name}", "bind": "query-params", "help": option.tooltip}
    if choices and NAMES in option.kinds:
        return tuple(st.multiselect(label, choices, list(default), **key))
    if choices:
        return st.selectbox(label, choices, index=choices.index(default), **key)
    if bool in option.kinds:
        return st.checkbox(label, default, **key)
    if int in option.kinds:
        most = heads if option.name == "k" else int(min(option.most, MOST))
        return st.number_input(label, int(max(option.least, 0)), most, default, **key)
    if float in option.kinds:
        return _float_control(option, default, key)
    text = st.text_input(label, ", ".join(default) if NAMES in option.kinds else default, **key)
    return tuple(part.strip() for part in text.split(",") if part.strip()) if NAMES in option.kinds else text


def _float_control(option: Option, default: float | None, key: dict[str, Any]) -> float | None:
    """A number, or null where the option may be: 0 stands for it, for as a number the option is greater."""
    if option.optional:
        key["help"] = f"{option.tooltip} 0 stands for None."
    usual = default or (0.1 if option.optional else 0.5)
    most = float(min(option.most, MOST))
    found = st.number_input(option.label, 0.0, most, default or 0.0, usual / 5, format="%g", **key)
    return (found or None) if option.optional else found
