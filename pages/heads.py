"""Heads: noise on one head, and what it does to the lanes."""

from __future__ import annotations

import streamlit as st

from app import results, style
from app.explore import DEFAULT_LEVEL, LEVELS, RERUNS, Moved, Scores, most_sensitive, scores_at, with_noise
from app.figures import charts, road
from app.figures.colours import PARTS
from app.session import Studio, studio
from sfcore.detectors.base import Outputs
from sfcore.errors import InputError
from sfcore.sensitivity.noise import Noise, NoiseKind

KINDS: dict[str, NoiseKind] = {"Gaussian": "gaussian", "Uniform": "uniform", "Quantization error": "replay"}
REPLAYED = 8  # images whose quantization error is recorded
PLOT = {"displayModeBar": False}


def controls(view: Studio) -> tuple[str, Noise, int]:
    """Head, noise and seed, all of them in the URL."""
    names = [head.name for head in view.detector.heads]
    first, second, third, fourth = st.columns([1.3, 1.3, 2.6, 1], gap="medium", vertical_alignment="top")
    head = first.selectbox(
        "Head", names, index=names.index(most_sensitive(view)), key="head", bind="query-params",
        help="The output that gets noise. All others stay as they are.",
    )  # fmt: skip
    kind = second.selectbox(
        "Noise", list(KINDS), key="kind", bind="query-params",
        help="Gaussian: normally distributed. Uniform: bounded, like rounding errors. Quantization error: what your "
        "latest run's calibrated model leaves on this head, replayed at the chosen level.",
    )  # fmt: skip
    level = third.select_slider(
        "Noise level", LEVELS, value=DEFAULT_LEVEL, format_func=style.level_text, key="level",
        bind="query-params",
        help="RMS of the noise as a share of the RMS of the head's output. Each step is a factor of 1.26.",
    )  # fmt: skip
    seed = fourth.number_input(
        "Seed", 0, 9999, 0, key="seed", bind="query-params", help="Another seed, another draw of the noise."
    )
    return head, Noise(KINDS[kind], level), int(seed)


def recorded(view: Studio, noise: Noise) -> tuple[str, Outputs | None]:
    """The newest run of this detector and its quantization error on each head, when that is to be replayed."""
    if noise.kind != "replay":
        return "", None
    run = next((run for run in results.runs(view.choice.name) if "calibrated" in results.models_of(run)), None)
    if run is None:
        raise InputError(f"no quantization error is known for {view.choice.name}: start a run on the Tune page first")
    return str(run.path), results.quantization_errors(view, run, view.images[:REPLAYED])


def picture(view: Studio, moved: Moved) -> None:
    """Both lane sets over the road."""
    drawn = road.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
    st.image(road.jpeg(road.name_lanes(drawn, moved.before)), width="stretch", alt="Lanes before and after noise")
    style.moved_legend("with noise")


def split(moved: Moved) -> None:
    """The distortion of the image and of each lane, by part."""
    parts = {name: float(value[0]) for name, value in moved.distortion.parts().items()}
    st.metric(
        "Lane Distortion Score",
        f"{sum(parts.values()):.2f}",
        help="How far the lanes have moved, in pixels at 640 px image width, summed over the lanes. Bend: the ends "
        "of a lane moved. Spike: its middle moved. Misalignment: points that only one of the two lane sets has.",
    )
    names, lanes = road.lane_names(moved.before), moved.distortion
    rows = sorted(names, key=lambda slot: names[slot])
    each = {part: [float(getattr(lanes, part)[0, slot]) for slot in rows] for part in PARTS}
    each["misalignment"].append(float(lanes.extra[0].sum()))
    each["bend"].append(0.0)
    each["spike"].append(0.0)
    figure = charts.split_bars([names[slot] for slot in rows] + ["new lanes"], each)
    st.plotly_chart(figure, config=PLOT, key="split", alt="Distortion of each lane by part")


def ranking(view: Studio, head: str, level: float, found: Scores) -> None:
    """All heads at the same noise."""
    order = [h.name for h in view.detector.heads]
    figure = charts.ranking(
        {name: values[0] for name, values in found.items()}, {n: v[1:] for n, v in found.items()}, order, head
    )
    st.markdown(
        f"**All heads at {style.level_text(level)}**",
        help=f"Mean over {RERUNS} draws of noise on this image; the whiskers span 5 % to 95 % of them.",
    )
    st.plotly_chart(figure, config=PLOT, key="ranking", alt="Heads ranked by the distortion that equal noise causes")


@st.fragment
def explore(view: Studio) -> None:
    """Everything that follows the controls; only this is rerun when one of them moves."""
    try:
        head, noise, seed = controls(view)
        left, right = st.columns([2.3, 1], gap="medium")
        source, errors = recorded(view, noise)
        moved = with_noise(view, head, noise, seed, error=errors[head] if errors else None)
        with left:
            picture(view, moved)
        with right:
            split(moved)
            ranking(view, head, noise.level, scores_at(*view.key, noise, seed, source, errors))
    except InputError as error:
        st.error(str(error))


style.page(
    "Heads",
    "Put noise on one head and watch the lanes. The head that moves them most at equal noise needs the most care.",
)
explore(studio())
