"""Curves: how much distortion each noise level on each head causes, and where a quantized model stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app import calibration, displays, results, sources, style
from app.calibration import Calibration
from app.scheme import say_cost
from app.session import DetectorChoice, Studio, forget_unknown, outputs_of_all, remembered, studio
from sfcore.detectors.registry import entries, entry
from sfcore.errors import InputError
from sfcore.names import printable
from sfcore.present.figures.curves import noise_score, side_by_side
from sfcore.quant.scheme import Scheme
from sfcore.runs import RunFolder
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import NoiseKind
from sfcore.sensitivity.selection import fast_scores, select
from sfcore.sensitivity.shipped import SETTINGS, shipped_curves

Standing = Mapping[str, Mapping[str, float]]  # noise level of each head, by model
Selected = Mapping[str, Sequence[str]]  # heads, by model
MOST_OTHERS = 5  # detectors beside the chosen one

KINDS: dict[str, NoiseKind] = {"Gaussian": "gaussian", "Uniform": "uniform"}


def controls(view: Studio) -> CurveSettings:
    """How the curves are measured; all in the URL."""
    most = len(view.images)
    with st.form("settings", border=True):
        first, second, third, fourth, fifth, last = st.columns(
            [1, 1, 1, 1, 1.2, 1], gap="small", vertical_alignment="bottom"
        )
        images = first.number_input(
            "Images", 1, most, min(most, SETTINGS.images), key="c_images", bind="query-params",
            help=f"How many of the {most} chosen images are used. 100 give stable curves.",
        )  # fmt: skip
        levels = second.number_input(
            "Levels", 2, 20, 8, key="c_levels", bind="query-params",
            help="Noise levels from 0.1 % to 100 % of the head's RMS, evenly spaced on a log scale.",
        )  # fmt: skip
        reruns = third.number_input(
            "Reruns", 1, 100, SETTINGS.reruns, key="c_reruns", bind="query-params",
            help="Draws of noise per image and level; the paper takes 20.",
        )  # fmt: skip
        seed = fourth.number_input(
            "Seed", 0, 9999, 0, key="c_seed", bind="query-params", help="Of the choice of images and of the noise."
        )
        kind = fifth.selectbox(
            "Noise", list(KINDS), key="c_kind", bind="query-params",
            help="Gaussian: normally distributed. Uniform: bounded, like rounding errors.",
        )  # fmt: skip
        last.form_submit_button("Measure", type="primary", width="stretch")
    return CurveSettings(int(images), int(levels), int(reruns), int(seed), KINDS[kind])


def measure(view: Studio, settings: CurveSettings) -> Curves:
    """Run the detector where needed, then the noise, with a progress bar for each; or what ships and is the same."""

    def draw_curves() -> Curves:
        if found := shipped(view, settings):
            return found
        outputs, bar = outputs_of_all(view, view.images), style.Bar("Scoring what noise leaves")
        found = noise_score_curves(view.detector, outputs, settings, bar)
        bar.close()
        return found

    return remembered(("curves", view.choice, view.images, settings), draw_curves)


def shipped(view: Studio, settings: CurveSettings) -> Curves | None:
    """The curves that ship, where they are what would be measured; a GPU rounds otherwise."""
    choice = view.choice
    if choice.weights or choice.device != "cpu":
        return None
    return shipped_curves(choice.name, entry(choice.name).shipped, view.images, settings)


def table(curves: Curves) -> pd.DataFrame:
    """All that was measured: one row a head and level."""
    return pd.DataFrame([row for curve in curves.curves.values() for row in curve.rows()])


def head_table(curves: Curves, standing: Standing) -> pd.DataFrame:
    """One row a head: distortion at three noise levels, and where the quantized models stand."""
    rows = []
    for name, curve in curves.curves.items():
        row: dict[str, object] = {"head": name} | {f"at {style.level_text(at)}": curve(at) for at in (0.01, 0.05, 0.2)}
        for model, levels in standing.items():
            row |= {f"noise, {model}": 100 * levels[name], f"distortion, {model}": curve(levels[name])}
        rows.append(row)
    return pd.DataFrame(rows).set_index("head")


def formats(frame: pd.DataFrame) -> dict[str, Any]:
    """Two decimals for distortions, percent for noise levels."""
    return {
        name: st.column_config.NumberColumn(format="%.2f %%" if name.startswith("noise") else "%.2f")
        for name in frame.columns
    }


def plot_controls(view: Studio) -> tuple[bool, bool, RunFolder | None, Calibration | None]:
    """Whether axes are logarithmic, whether single images are drawn, and whose models are marked: a run's, or, where
    there is none of the detector, one that is quantized on the spot."""
    left, middle, right = st.columns([1, 1, 3], gap="medium", vertical_alignment="bottom")
    axes = left.segmented_control(
        "Axes", ["Log", "Linear"], default="Log", required=True, key="axes", bind="query-params",
        help="Log shows small noise, linear shows where all breaks.",
    )  # fmt: skip
    points = middle.toggle(
        "Single images", False, key="points", bind="query-params",
        help="Each image's mean distortion at each level as a faint point.",
    )  # fmt: skip
    with right:
        run = results.choose(view, "c_run", optional=True)
        here = None if results.runs(view.choice.name) else on_the_spot(view)
    return axes == "Log", points, run, here


def on_the_spot(view: Studio) -> Calibration | None:
    """The detector quantized here, to be marked on each curve; None where that is not wanted, or not made yet."""
    bits = st.selectbox(
        "Quantized on the spot", ("none", *calibration.SCHEMES), key="c_bits", bind="query-params",
        help="Quantizes the detector here, calibrated on a few of the images and not tuned: the noise that this leaves "
        "on each head is marked on its curve. There is no run of this detector yet.",
    )  # fmt: skip
    if bits == "none":
        return None
    chosen = calibration.of(view, bits)
    if not calibration.is_ready(chosen):
        calibration.start_button(chosen)
        return None
    return chosen


def chosen_heads(run: RunFolder, curves: Curves, standing: Standing) -> Selected:
    """The heads that would be selected where the models of a run stand, as k is moved."""
    left, right = st.columns([1, 2], gap="medium")
    with left:
        k = choose_k(run, len(curves.curves))
    scores = {model: fast_scores(curves, levels) for model, levels in standing.items()}
    selected = {model: select(scores[model], k) for model in standing}
    with right:
        selection_text(standing, scores, selected, k)
    return selected


def choose_k(run: RunFolder, heads: int) -> int:
    """How many heads are to be selected; the run's own number at first."""
    if heads == 1:
        return 1
    usual = results.settings(run).get("k") or run.spec.settings().heads_to_select(heads)
    return st.slider(
        "Heads selected, k", 1, heads, usual, key="c_k", bind="query-params",
        help="Sensitivity Aware Selection reads each head's distortion off its curve, at the noise level that the "
        "quantized model has there at present, and takes the k heads with the most.",
    )  # fmt: skip


def selection_text(standing: Standing, scores: Mapping[str, Mapping[str, float]], selected: Selected, k: int) -> None:
    """What is selected, said in words."""
    for model, heads in selected.items():
        taken = ", ".join(
            f"**{head}** (distortion {scores[model][head]:.2f} at {style.level_text(standing[model][head])})"
            for head in heads
        )
        st.markdown(f"At the noise of the **{model}** model, k = {k} selects {taken}.")


def show_chosen(view: Studio, curves: Curves) -> bool:
    """The picture and the table of the chosen detector; returns whether axes are logarithmic."""
    logarithmic, points, run, here = plot_controls(view)
    used = [view.images[i] for i in curves.meta["images"]]
    standing: Standing = {}
    selected: Selected = {}
    if run:
        each = {model: partial(results.outputs, run, model) for model in results.models_of(run)}
        standing = {model: results.noise_levels(view, outputs, used) for model, outputs in each.items()}
        selected = chosen_heads(run, curves, standing)
    elif here:
        standing = {"calibrated": results.noise_levels(view, here.outputs, used)}
    names = [printable(path.name) for path in used] if points else None
    figure = noise_score(curves, logarithmic, standing, selected, names)
    displays.chart(figure, key="curves", alt="Noise–score curves of all heads", table=table(curves))
    if here:
        images = sources.count(len(here.images), view.detector.preprocessing.noun)
        style.note(f"{here.scheme}, calibrated just now on {images}; not tuned.")
        say_cost(view.choice, Scheme.parse(here.scheme))
    rings = " Ring: selected at that model's noise." if run else ""
    noun = view.detector.preprocessing.noun
    style.note(
        f"Line: mean distortion per {noun}. Band: 5 % to 95 % of {noun}s and draws. The steeper a head's curve, "
        f"the less noise it bears.{rings} Click a name to hide its line."
    )
    frame = head_table(curves, standing)
    st.dataframe(frame, column_config=formats(frame))
    return logarithmic


def show_others(view: Studio, curves: Curves, settings: CurveSettings, logarithmic: bool) -> None:
    """Other detectors, measured in the same way on the same images."""
    names = [each.name for each in entries() if each.score and each.name != view.choice.name]
    st.subheader("Beside other detectors", anchor=False)
    forget_unknown("c_others", names)
    chosen = st.multiselect(
        "Detectors", names, key="c_others", bind="query-params", placeholder="none", max_selections=MOST_OTHERS,
        help="Those that work with nothing to configure. They are measured on the same images, with the same settings.",
    )  # fmt: skip
    if not chosen:
        style.note("Choose some to see whose heads bear least noise; all are drawn on one scale.")
        return
    each = {view.choice.name: curves}
    for name in chosen:
        other = replace(view, choice=DetectorChoice.of(name, None, view.choice.device))
        each[name] = measure(other, settings)
    tables = [table(found).assign(detector=name) for name, found in each.items()]
    figure = side_by_side(each, logarithmic)
    displays.chart(figure, key="detectors", alt=f"Noise–score curves of {', '.join(each)}", table=pd.concat(tables))


view = studio()
things = view.words.plural
style.page("Curves", f"How far the {things} move as noise grows on each head. This decides which heads a run tunes on.")
try:
    settings = controls(view)
    curves = measure(view, settings)
    show_others(view, curves, settings, show_chosen(view, curves))
except InputError as error:
    style.problem(error)
