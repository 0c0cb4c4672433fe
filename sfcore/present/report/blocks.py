"""What the sections of a report are made of: charts, tables, cards, pictures. Values alone; templates lay them out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from sfcore.present.figures.charts import Figure

Cell = str | float | int | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Chart:
    """A Plotly figure.

    Attributes:
        title: stands over it; the files that it is saved to are called after it.
        alt: the same for who cannot see it.
        figure: with its height in pixels.
    """

    title: str
    alt: str
    figure: Figure

    @property
    def json(self) -> Markup:
        """The figure for a script element: nothing in it can end one, or begin one."""
        plain = Figure(self.figure).update_layout(template=None)  # Plotly's is large and knows no dark
        return Markup(plain.to_json().replace("<", "\\u003c"))


@dataclass(frozen=True)
class Table:
    """Rows under their names.

    Attributes:
        title: stands over it; the file that it is saved to is called after it.
        rows: at least one; all have the names of the first.
        form: how numbers that are no integers are printed; the file has all their digits.
        marked: places of the rows that stand out.
    """

    title: str
    rows: Sequence[Row]
    form: str = "%.3f"
    marked: Collection[int] = ()


@dataclass(frozen=True)
class Card:
    """A headline number, and what it was before."""

    title: str
    number: str
    before: str


@dataclass(frozen=True)
class Key:
    """What a colour and a shape mean in pictures."""

    name: str
    colour: str
    shape: Literal["line", "band", "dots", "dash"]


@dataclass(frozen=True)
class Picture:
    """What a model finds on a frame, as a JPEG file."""

    model: str
    alt: str
    jpeg: bytes

    @property
    def base64(self) -> Markup:
        """The file as text, which has no character that HTML knows."""
        return Markup(b64encode(self.jpeg).decode())


@dataclass(frozen=True)
class Slider:
    """A frame's pictures, two of them one over the other with a divider to drag.

    Attributes:
        title: of the frame.
        pictures: one a model.
        lines: what stands under them.
    """

    title: str
    pictures: Sequence[Picture]
    lines: Sequence[str]
