"""Pixels: which elements of a head move the prediction, and what noise on some of them does."""

from __future__ import annotations

import pandas as pd
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from app import style
from app.displays import chart, picture, saved
from app.perturbation import LEVELS, Moved, elements_of, grain_of, most_sensitive, with_noise
from app.session import Studio, studio
from app.widgets.level_slider import chosen, level_slider
from app.widgets.pixel_picker import Box, pixel_picker
from sfcore import drawing
from sfcore.detectors.base import Head
from sfcore.errors import InputError
from sfcore.present.figures import maps
from sfcore.present.figures.heads import confidence_picture
from sfcore.sensitivity.elements import cell_mask, foreground_area, foreground_share
from sfcore.sensitivity.noise import Noise

TEXTS = [style.level_text(level) for level in LEVELS]
DEFAULT = 20  # of LEVELS: 10 %
LEVEL_HELP = "Strength of the noise on your selection, as a share of the RMS of the head's output."
NOWHERE = torch.zeros(1, dtype=torch.bool)
POLL = 0.4  # seconds between two looks at a map that is being measured


def controls(view: Studio) -> tuple[Head, float, int, DeltaGenerator]:
    """Head, step of the map and seed; and the place of the slider between them."""
    names = [head.name for head in view.detector.heads]
    first, second, third, fourth = st.columns([1.3, 1.3, 2.6, 1], gap="medium")
    name = first.selectbox(
        "Head", names, index=names.index(most_sensitive(view)), key="head", bind="query-params",
        help="The output whose elements are moved, one at a time.",
    )  # fmt: skip
    step = second.selectbox(
        "Step of the map", LEVELS[10::5], index=2, format_func=style.level_text, key="step", bind="query-params",
        help="How far each element is moved for the map, as a share of the RMS of the head's output.",
    )  # fmt: skip
    seed = fourth.number_input(
        "Seed", 0, 9999, 0, key="seed", bind="query-params", help="Of the noise on your selection."
    )
    return view.detector.head(name), step, int(seed), third.container()


def element_map(view: Studio, head: Head, found: Tensor | float) -> tuple[Tensor | None, str]:
    """The map, to choose from; returns the mask of what was chosen, and where it is in words."""
    st.markdown(
        f"**Element map of {head.name}**",
        help=f"How much the {view.words.plural} move when an element moves alone.",
    )
    return (choose_on_road if head.layout == "grid" else choose_query)(view, head, found)


def choose_on_road(view: Studio, head: Head, found: Tensor | float) -> tuple[Tensor | None, str]:
    """The element map of a grid head over the road, to click or brush."""
    if isinstance(found, Tensor):
        drawn = maps.element_picture(view.canvas, view.detector, found)
        meaning = (
            f"Brighter: moving this {moved_together(view, head)} moves the {view.words.plural} more, up to a "
            f"distortion of {maps.brightest(found):.2g}. Click a cell or drag a rectangle to put noise there."
        )
    else:
        drawn = drawing.dimmed(view.canvas)
        meaning = "Click a cell or drag a rectangle to put noise there, now or later."
    with st.container(gap=None):
        picked = pixel_picker(drawing.jpeg(drawn), f"Element map of the head {head.name}", key="box")
        saved({"PNG": drawn}, f"element map of {head.name}")
    style.note(meaning)
    if picked is None:
        return None, "click or brush the map to put noise there"
    mask = maps.picked_mask(view.detector, head, view.outputs()[head.name].shape, picked)
    return mask, place(picked, int(mask.sum()))


def moved_together(view: Studio, head: Head) -> str:
    """What one cell of the map stands for."""
    side, channels = grain_of(view, head).side, len(head.channels)
    if side is None:
        return "cell alone"
    block = "cell" if side == 1 else f"block of {side} × {side} cells"
    return f"{block} with all its {channels} channels at once, for there are too many to move alone,"


def place(picked: Box, cells: int) -> str:
    """Where the selection lies, in words."""
    left, top, right, bottom = (round(100 * v) for v in picked)
    where = (
        f"at {left} %, {top} %"
        if (left, top) == (right, bottom)
        else f"{left} to {right} % across, {top} to {bottom} % down"
    )
    return f"{cells} cell{'s' if cells != 1 else ''}, {where}"


def choose_query(view: Studio, head: Head, found: Tensor | float) -> tuple[Tensor, str]:
    """The element map of a query or image head as a table of cells; the query is chosen from a list."""
    shape = view.outputs()[head.name].shape[1:]
    confidence = torch.broadcast_to(view.detector.confidence(view.outputs(), head.name)[0], shape)
    chosen_query = None
    if head.layout == "query":
        sure = confidence.amax(-1)
        chosen_query = st.selectbox(
            "Query", range(len(sure)), index=int(sure.argmax()), key=f"query-{head.name}",
            format_func=lambda i: f"Query {i + 1}, confidence {style.percent(float(sure[i]))}",
            help="Noise goes on this query. It starts at the most confident one.",
        )  # fmt: skip
        confidence = sure
    if isinstance(found, Tensor):
        figure = maps.element_cells(head, found, confidence, chosen_query)
        table = pd.DataFrame(found.view(-1, len(head.channels)).numpy(), columns=list(head.channels))
        chart(figure, key="element map", alt="Distortion that moving each value causes", table=table)
        style.note(f"Each cell: the distortion that moving this value alone causes. {measured(view, head)}")
    mask = cell_mask(head, shape, [() if chosen_query is None else (chosen_query,)])
    return mask, "all values of the image" if chosen_query is None else f"query {chosen_query + 1}"


def measured(view: Studio, head: Head) -> str:
    """Which queries the map is of, where there are too many."""
    queries = grain_of(view, head).queries
    return f"Of so many queries the {queries} most confident were measured." if queries else ""


def waiting(view: Studio, head: Head, step: float) -> None:
    """How far the map is; once it is there, the page is drawn with it."""

    @st.fragment(run_every=POLL)
    def poll() -> None:
        found = elements_of(view, head, step)
        if isinstance(found, Tensor):
            st.rerun()
        st.progress(found, f"Measuring the element map: {style.percent(found)}")

    poll()


def confidence(view: Studio, head: Head) -> None:
    """The confidence that belongs to the head, to hold beside the element map."""
    st.markdown(
        "**Confidence**",
        help=f"Where the detector sees {view.words.plural}: the foreground, in the place of a label.",
    )
    drawn = confidence_picture(view.canvas, view.detector, view.outputs(), head.name)
    picture(drawn, key="confidence", alt=f"Confidence over the {view.words.scene}")
    style.note("Dark 0, bright 1. Foreground: over 50 %.")


def numbers(view: Studio, head: Head, found: Tensor | float) -> None:
    """How much of the sensitivity lies where the detector sees something, and how much would by chance."""
    sure = view.detector.confidence(view.outputs(), head.name)[0]
    area = foreground_area(view.outputs()[head.name].shape[1:], sure)
    share = foreground_share(found, sure) if isinstance(found, Tensor) else None
    st.markdown("**Where the sensitivity lies**")
    first, second, third = st.columns(3)
    first.metric(
        "On foreground", "…" if share is None else style.percent(share),
        help="Share of the sensitivity of all elements that lies on those with a confidence over 50 %.",
    )  # fmt: skip
    second.metric("By chance", style.percent(area, 1), help="Share of the elements that are foreground.")
    focus = "…" if share is None else f"{share / area:.1f} ×" if area else "none"
    third.metric("Focus", focus, help="The first over the second: 1 × would mean that the foreground matters no more.")


def effect(view: Studio, head: Head, moved: Moved, where: str) -> None:
    """What noise on the selection does to the prediction."""
    st.markdown(f"**Noise on {head.name}**: {where}")
    drawn = view.task.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
    alt = f"{view.words.plural.capitalize()} before and after noise on the selection"
    picture(drawn, key="noise on pixels", alt=alt)
    style.moved_legend(view.task, "with noise")


def distortions(moved: Moved) -> None:
    """The distortion that the noise causes, and its parts."""
    parts = {name: float(value[0]) for name, value in moved.distortion.parts().items()}
    shown = {"distortion": sum(parts.values())} | parts
    st.markdown("**What the noise causes**")
    for column, (name, value) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.metric(name.capitalize(), f"{value:.2f}")


@st.fragment
def element_panel(view: Studio) -> None:
    """Everything on the page; only this is rerun when something is picked."""
    try:
        head, step, seed, slider = controls(view)
        level = chosen(TEXTS, TEXTS[DEFAULT], "p_level")
        found, on_road = elements_of(view, head, step), head.layout == "grid"
        (first, second), (third, fourth) = st.columns(2, gap="medium"), st.columns(2, gap="medium")
        with first:
            mask, where = element_map(view, head, found)
            if not isinstance(found, Tensor):
                waiting(view, head, step)
        moved = with_noise(view, head.name, Noise("gaussian", LEVELS[level]), [seed], NOWHERE if mask is None else mask)
        with third if on_road else second:
            effect(view, head, moved, where)
        with slider:  # the picture is there: the slider may send its next value
            level_slider("Noise level", TEXTS, level, "p_level", LEVEL_HELP)
        with fourth if on_road else second:
            numbers(view, head, found)
            distortions(moved)
        if on_road:
            with second:
                confidence(view, head)
    except InputError as error:
        style.problem(error, icon=":material/error:")


view = studio()
things = view.words.plural
style.page("Pixels", f"Move each element of a head alone and see which ones the {things} hang on.")
element_panel(view)
