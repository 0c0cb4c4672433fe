"""Curves: how much distortion each noise level on each head causes, and where a quantized model stands."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app import results, style
from app.figures.curves import noise_score
from app.session import Studio, outputs_of_all, remembered, studio
from sfcore.errors import InputError
from sfcore.sensitivity.curves import Curves, CurveSettings, noise_score_curves
from sfcore.sensitivity.noise import NoiseKind

KINDS: dict[str, NoiseKind] = {"Gaussian": "gaussian", "Uniform": "uniform"}


def controls(view: Studio) -> CurveSettings:
    """How the curves are measured; all in the URL."""
    most = len(view.images)
    with st.form("settings", border=True):
        first, second, third, fourth, fifth, last = st.columns(
            [1, 1, 1, 1, 1.2, 1], gap="small", vertical_alignment="bottom"
        )
        images = first.number_input(
            "Images", 1, most, min(most, 12), key="c_images", bind="query-params",
            help=f"How many of the {most} chosen images are used. 100 give stable curves.",
        )  # fmt: skip
        levels = second.number_input(
            "Levels", 2, 20, 8, key="c_levels", bind="query-params",
            help="Noise levels from 0.1 % to 100 % of the head's RMS, evenly spaced on a log scale.",
        )  # fmt: skip
        reruns = third.number_input(
            "Reruns", 1, 100, 10, key="c_reruns", bind="query-params",
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
    """Run the detector where needed, then the noise, with a progress bar for each."""

    def draw_curves() -> Curves:
        outputs, bar = outputs_of_all(view, view.images), style.Bar("Scoring perturbed lane sets")
        found = noise_score_curves(view.detector, outputs, settings, bar)
        bar.close()
        return found

    return remembered(("curves", view.choice, view.images, settings), draw_curves)


def table(curves: Curves) -> bytes:
    """The curves as CSV."""
    with tempfile.TemporaryDirectory() as folder:
        curves.save(Path(folder))
        return (Path(folder) / "curves.csv").read_bytes()


def facts(curves: Curves, standing: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
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


def show(view: Studio, curves: Curves) -> None:
    """The picture, the table, the file."""
    left, right = st.columns([1, 2.4], gap="medium", vertical_alignment="bottom")
    axes = left.segmented_control(
        "Axes", ["Log", "Linear"], default="Log", required=True, key="axes", bind="query-params",
        help="Log shows small noise, linear shows where lanes break.",
    )  # fmt: skip
    with right:
        run = results.choose(view, "c_run", optional=True)
        if run is None and not results.runs(view.choice.name):
            style.note("Tune this detector once, and the noise of the quantized model is marked on each curve.")
    used = [view.images[i] for i in curves.meta["images"]]
    standing: dict[str, dict[str, float]] = {}
    if run:
        standing = {m: results.noise_levels(view, run, m, used) for m in results.models_of(run)}
    st.plotly_chart(noise_score(curves, axes == "Log", standing), key="curves", alt="Noise-score curves of all heads")
    style.note(
        "Line: mean distortion of an image's lanes. Band: 5 % to 95 % of images and draws. "
        "The steeper a head's curve, the less noise it bears. Click a name to hide its line."
    )
    frame = facts(curves, standing)
    st.dataframe(frame, column_config=formats(frame))
    st.download_button(
        "Download as CSV", table(curves), f"curves-{view.choice.name}.csv", "text/csv", icon=":material/download:"
    )


view = studio()
style.page("Curves", "How far the lanes move as noise grows on each head. This decides which heads a run tunes on.")
try:
    show(view, measure(view, controls(view)))
except InputError as error:
    st.error(str(error))
