"""Overview: the frame with what is found on it, and what each head of the detector puts out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app import style
from app.displays import picture
from app.session import Studio, studio
from app.widgets.links import open_page
from sfcore import drawing
from sfcore.colours import FULL, head_colour
from sfcore.detectors.base import Head
from sfcore.errors import InputError
from sfcore.present.figures import heads

ACROSS = {1: 1, 2: 2, 4: 2}  # heads in a row by how many there are; otherwise three


def invitation() -> None:
    """To the tour, for those who are here for the first time."""
    with st.container(border=True, key="sf-invitation"):
        words, way = st.columns([4, 1], vertical_alignment="center")
        words.markdown("**New here?** Six pictures tell what quantization does to lanes and how they are mended.")
        if way.button("Take the tour", icon=":material/route:", type="primary", width="stretch"):
            open_page("tour")


def numbers(view: Studio) -> None:
    """What is seen and by what."""
    detector, things = view.detector, view.words.plural
    parameters = sum(p.numel() for p in detector.parameters())
    confidences = view.prediction().scores(0)
    mean = sum(confidences) / len(confidences) if confidences else 0.0
    noun = detector.preprocessing.noun
    found = f"{things.capitalize()} that the full-precision detector finds on this {noun}."
    st.metric(f"{things.capitalize()} found", len(confidences), help=found)
    st.metric("Mean confidence", style.percent(mean) if confidences else "none", help=f"Of the {things} found.")
    st.metric("Parameters", f"{parameters:,}", help="Weights of the network, at full precision (32 bits).")
    size, unit = detector.preprocessing.described().rsplit(" ", 1)
    st.metric(f"Network input, {unit}", size, help=f"What the network reads of each {noun}.")


def seen_otherwise(view: Studio, objects: Sequence[np.ndarray]) -> None:
    """What else shows the frame, such as a camera's picture of a sweep."""
    frame = next(frame for frame in view.frames if frame.image == view.image)
    try:
        drawn = view.dataset.beside(frame, objects)
    except InputError as error:
        st.warning(str(error), icon=":material/broken_image:")
        return
    if drawn is not None:
        picture(drawing.canvas(drawn), key="beside", alt=f"The same {view.words.plural} seen otherwise")


def card(view: Studio, head: Head, place: int) -> None:
    """One head: its name and role, its output on this image, what it means."""
    detector, outputs = view.detector, view.outputs()
    with st.container(border=True, height="stretch"):
        style.chips(
            head.name,
            [head.role, f"{len(head.channels)} channels" if len(head.channels) > 1 else "1 channel"],
            head_colour(place),
        )
        if head.layout == "grid":
            drawn = heads.head_picture(drawing.canvas(view.canvas, 800), detector, outputs, head)
            picture(drawn, key=f"head {head.name}", alt=f"Output of the head {head.name} over the {view.words.scene}")
            style.note(f"{head.description} {heads.head_scale(detector, outputs, head)}")
        else:
            style.note(head.description)
            st.html(heads.query_table(detector, outputs, head))


view = studio()
style.page(
    "Overview",
    f"See what quantization does to a {view.words.singular} detector, find the head that suffers most, and mend it "
    "without labels.",
)
invitation()
left, right = st.columns([4, 1], gap="medium")
with left:
    task, found = view.task, view.prediction()
    words = task.words
    drawn = task.draw_names(task.draw(view.canvas, found), found)
    picture(drawn, key="lanes", alt=f"The {words.scene} with the {words.plural} that the detector finds")
    style.legend((f"{words.plural} of the full-precision detector", FULL, "line"))
    seen_otherwise(view, found.objects(0))
with right:
    numbers(view)

table = view.detector.heads
st.subheader(f"The {len(table)} heads of {view.choice.name} on this image", anchor=False)
across = ACROSS.get(len(table), 3)
for first in range(0, len(table), across):
    for place, column in enumerate(st.columns(across, gap="medium"), first):
        if place < len(table):
            with column:
                card(view, table[place], place)
