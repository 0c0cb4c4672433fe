"""Charts and pictures as all pages show them, each with links that save it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.widgets.downloads import downloads
from sfcore import drawing
from sfcore.drawing import Image
from sfcore.names import plain_in_table
from sfcore.tasks.base import Task

CONFIG = {"displayModeBar": False}


def chart(
    figure: go.Figure,
    *,
    key: str,
    alt: str,
    table: pd.DataFrame | None = None,
    clicked: Callable[[], None] | None = None,
) -> None:
    """Draw a figure.

    Args:
        key: of the chart on its page, and the name of its files.
        alt: what it shows, for those who do not see it.
        table: its numbers, to be saved as CSV.
        clicked: called when a point is clicked, before the page runs again; :func:`clicked_point` says which.
    """
    selection: dict[str, Any] = {"on_select": clicked, "selection_mode": "points"} if clicked else {}
    with st.container(gap=None):
        st.plotly_chart(figure, config=CONFIG, key=key, alt=alt, **selection)
        downloads(file_name(key), alt, None if table is None else csv(table), f"{key} files")


def csv(table: pd.DataFrame) -> str:
    """A table as a file, in which no name is a formula to whoever opens it in a spreadsheet."""
    return table.map(plain_in_table).rename(columns=plain_in_table).to_csv(index=False)


def clicked_point(key: str) -> Any:
    """The ``customdata`` of the point that was clicked last in a chart, or None."""
    points = st.session_state[key].selection.points
    return points[0].get("customdata") if points else None


def picture(image: Image, *, key: str, alt: str, caption: str | None = None) -> None:
    """Show an RGB picture as a quick JPEG; saved, it is a PNG without loss, encoded only then."""
    with st.container(gap=None):
        st.image(drawing.jpeg(image), caption, width="stretch", alt=alt)
        saved({"PNG": image}, key)


def saved(images: Mapping[str, Image], key: str) -> None:
    """Links that save pictures as PNG.

    Args:
        images: by the text of their link.
        key: of the links on their page, and the beginning of the files' names.
    """
    with st.container(horizontal=True, horizontal_alignment="right", gap="small", key=f"files-{file_name(key)}"):
        for label, image in images.items():
            name = file_name(key if len(images) == 1 else f"{key} {label}")
            st.download_button(
                label, partial(drawing.png, image), f"{name}.png", "image/png", key=f"{key} {label} file",
                on_click="ignore", type="tertiary", help="Save as PNG",
            )  # fmt: skip


def agreement_columns(task: Task[Any]) -> dict[str, Any]:
    """The columns of a table that say how models agree with full precision."""
    words = task.words
    return {
        "Agreement": st.column_config.NumberColumn(format="%.3f", help=words.agreement),
        "Distortion": st.column_config.NumberColumn(format="%.2f", help=words.distortion),
        f"Shift ({words.unit})": st.column_config.NumberColumn(format="%.2f", help=words.shift),
    }


def file_name(text: str) -> str:
    """A text as the name of a file: "Frame parts" as "frame-parts"."""
    return re.sub(r"[^\w.]+", "-", text).strip("-").lower()
