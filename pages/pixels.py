"""Pixels: which elements of a head move the lanes, and what noise on some of them does."""

from __future__ import annotations

import streamlit as st
import torch
from torch import Tensor

from app import style
from app.explore import LEVELS, elements_of, most_sensitive, with_noise
from app.figures import maps, road
from app.figures.heads import confidence_map, on_frame
from app.session import Studio, studio
from app.widgets.pixel_picker import Box, pixel_picker
from sfcore.detectors.base import Head
from sfcore.errors import InputError
from sfcore.sensitivity.elements import cell_mask, foreground_share
from sfcore.sensitivity.noise import Noise

PLOT = {"displayModeBar": False}


def controls(view: Studio) -> tuple[Head, float, int]:
    """Head, strength and seed."""
    heads = view.detector.heads
    names = [head.name for head in heads]
    first, second, third = st.columns([1.4, 2.6, 1], gap="medium")
    name = first.selectbox(
        "Head",
        names,
        index=names.index(most_sensitive(view)),
        key="head",
        bind="query-params",
        help="The output whose elements are moved, one at a time.",
    )
    level = second.select_slider(
        "Step and noise level", LEVELS, value=LEVELS[20], format_func=style.level_text, key="p_level",
        bind="query-params",
        help="How far each element is moved for the map, and how strong the noise on your selection is, "
        "as a share of the RMS of the head's output.",
    )  # fmt: skip
    seed = third.number_input(
        "Seed", 0, 9999, 0, key="seed", bind="query-params", help="Of the noise on your selection."
    )
    return view.detector.head(name), level, int(seed)


def choose_on_road(view: Studio, head: Head, sensitivity: Tensor) -> tuple[Tensor | None, str]:
    """The element map of a grid head over the road, to click or brush; returns the mask of what was chosen."""
    picture = maps.element_picture(view.canvas, view.detector, sensitivity)
    picked = pixel_picker(road.jpeg(picture), f"Element map of the head {head.name}", key=f"picked-{head.name}")
    style.note(
        "Brighter: moving this cell alone moves the lanes more. Click a cell or drag a rectangle to put noise there."
    )
    if picked is None:
        return None, "nothing chosen yet"
    mask = maps.picked_mask(view.detector, head, view.outputs()[head.name].shape, picked)
    return mask, place(picked, int(mask.sum()))


def place(picked: Box, cells: int) -> str:
    """Where the selection lies, in words."""
    left, top, right, bottom = (round(100 * v) for v in picked)
    where = (
        f"at {left} %, {top} %"
        if (left, top) == (right, bottom)
        else f"{left} to {right} % across, {top} to {bottom} % down"
    )
    return f"{cells} cell{'s' if cells != 1 else ''}, {where}"


def choose_cell(view: Studio, head: Head, sensitivity: Tensor) -> tuple[Tensor | None, str]:
    """The element map of a query or image head as cells; the query is chosen from a list."""
    count = 1 if head.layout == "image" else len(sensitivity)
    query = 0
    if count > 1:
        best = int(sensitivity.sum(-1).argmax())
        query = st.selectbox(
            "Query", range(count), index=best, format_func=lambda i: f"Query {i + 1}", key=f"query-{head.name}",
            help="Noise goes on this query. It starts at the most sensitive one.",
        )  # fmt: skip
    st.plotly_chart(maps.element_cells(head, sensitivity, query), config=PLOT, key="cells", alt="Element map")
    style.note("Each cell: the distortion that moving this one value causes, up and down averaged.")
    mask = cell_mask(head, sensitivity.shape, [() if head.layout == "image" else (query,)])
    return mask, "all values of the image" if head.layout == "image" else f"query {query + 1}"


def numbers(view: Studio, head: Head, sensitivity: Tensor) -> None:
    """How much of the sensitivity lies where the detector sees a lane."""
    confidence = view.detector.confidence(view.outputs(), head.name)[0]
    area = float((torch.broadcast_to(confidence, sensitivity.shape) > 0.5).float().mean())
    first, second = st.columns(2)
    first.metric(
        "Sensitivity on foreground", style.percent(foreground_share(sensitivity, confidence)),
        help="Share of all sensitivity that lies on elements with a confidence over 50 %.",
    )  # fmt: skip
    second.metric("Foreground elements", style.percent(area, 1), help="Share of elements with a confidence over 50 %.")


def effect(view: Studio, head: Head, noise: Noise, seed: int, mask: Tensor | None, where: str) -> None:
    """What noise on the selection does to the lanes."""
    st.markdown(f"**Noise on {head.name}**: {where}")
    if mask is None:
        st.image(road.jpeg(road.draw_lanes(view.canvas, view.lanes())), width="stretch", alt="Lanes without noise")
        st.info("Click or brush the map to put noise there.", icon=":material/touch_app:")
        return
    moved = with_noise(view, head.name, noise, seed, mask)
    drawn = road.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
    st.image(road.jpeg(drawn), width="stretch", alt="Lanes before and after noise on the selection")
    style.moved_legend("with noise")
    parts = {name: float(value[0]) for name, value in moved.distortion.parts().items()}
    for column, (name, value) in zip(st.columns(4), ({"distortion": sum(parts.values())} | parts).items(), strict=True):
        column.metric(name.capitalize(), f"{value:.2f}")


@st.fragment
def explore(view: Studio) -> None:
    """Everything on the page; only this is rerun when something is picked."""
    try:
        head, level, seed = controls(view)
        sensitivity = elements_of(view, head.name, level)
        left, right = st.columns(2, gap="medium")
        with left:
            st.markdown(f"**Element map of {head.name}**")
            choose = choose_on_road if head.layout == "grid" else choose_cell
            mask, where = choose(view, head, sensitivity)
            numbers(view, head, sensitivity)
        with right:
            effect(view, head, Noise("gaussian", level), seed, mask, where)
            if head.layout == "grid":
                confidence(view, head)
    except InputError as error:
        st.error(str(error))


def confidence(view: Studio, head: Head) -> None:
    """The confidence that belongs to the head, to hold beside the element map."""
    with st.expander("Confidence of this head", icon=":material/visibility:"):
        heat = on_frame(confidence_map(view.detector, view.outputs(), head.name), view.detector)
        st.image(road.jpeg(road.heat_over(view.canvas, heat, top=1.0)), width="stretch", alt="Confidence over the road")


style.page(
    "Pixels",
    "Move each element of a head alone and see which ones the lanes hang on.",
)
explore(studio())
