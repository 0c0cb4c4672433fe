"""The report's HTML: one file that asks nothing of any server, in light and dark, on screen and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sfcore.names import printable
from sfcore.present import LOGO
from sfcore.present.report.sections import Section
from sfcore.runs.tags import Tags

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """What a report shows.

    Attributes:
        title: of the page.
        lead: a sentence under it.
        tags: what people wrote on the runs.
        sections: in their order.
    """

    title: str
    lead: str
    tags: Sequence[Tags]
    sections: Sequence[Section]


def render(page: Page) -> str:
    """The page as HTML."""
    return _TEMPLATES.get_template("page.html.j2").render(
        page=page,
        logo=_inlined(LOGO),
        style=_inlined(HERE / "report.css"),
        script=_inlined(HERE / "report.js"),
        plotly=Markup(get_plotlyjs()),
    )


def _inlined(file: Path) -> Markup:
    """A file of ours that stands in the page as it is."""
    return Markup(file.read_text(encoding="utf-8"))


def _shown(value: object) -> object:
    """What a template prints, names of files included that are no text; it is escaped after this."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, finalize=_shown,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
