"""The report's HTML: one file that asks nothing of any server, in light and dark, on screen and on paper."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from sfcore.names import printable
from sfcore.present import LOGO
from sfcore.present.figures.charts import Figure

HERE = Path(__file__).parent
# The browser itself refuses whatever would leave this file.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
Cell = str | float | int | None
Row = dict[str, Cell]


def document(title: str, lead: str, sections: Sequence[str]) -> str:
    """The whole page.

    Args:
        lead: HTML under the title.
        sections: as of :func:`section`.
    """
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    logo = LOGO.read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escaped(title)} · Selective Focus Studio</title>
<style>{style}</style>
</head>
<body>
<header>{logo}<h1>{escaped(title)}</h1>{lead}</header>
<main>
{"".join(sections)}
</main>
<script>{get_plotlyjs()}</script>
<script>{script}</script>
</body>
</html>
"""


def escaped(said: str) -> str:
    """A text as HTML shows it, names of files in it included that are no text."""
    return escape(printable(said))


def section(title: str, *parts: str) -> str:
    """A titled part of the page, of HTML."""
    return f"<section><h2>{escaped(title)}</h2>{''.join(parts)}</section>\n"


def text(said: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is "quiet" or nothing."""
    return f'<p class="{kind}">{escaped(said)}</p>'


def side_by_side(*parts: str) -> str:
    """Parts beside each other where there is room."""
    return f'<div class="beside">{"".join(parts)}</div>'


def chart(figure: Figure, title: str, alt: str) -> str:
    """A Plotly figure with its title; links under it save it as PNG and SVG."""
    figure.update_layout(template=None)  # theirs is large and knows no dark
    content = figure.to_json().replace("</", "<\\/")
    return (
        f'<figure class="chart"><h3>{escaped(title)}</h3>'
        f'<div class="plot" role="img" aria-label="{escaped(alt)}" style="height:{figure.layout.height}px"></div>'
        f'<script type="application/json">{content}</script>{_links(title, "png", "svg")}</figure>'
    )


def table(rows: Sequence[Row], title: str, form: str = "%.3f", marked: Sequence[int] = ()) -> str:
    """Rows under their names; a link saves them as CSV.

    Args:
        form: how numbers that are no integers are printed; the file has all their digits.
        marked: rows that stand out.
    """
    head = "".join(f"<th>{escaped(name)}</th>" for name in rows[0])
    body = "".join(
        ('<tr class="marked">' if place in marked else "<tr>") + "".join(_cell(value, form) for value in row.values())
        for place, row in enumerate(rows)
    )
    return (
        f'<figure class="table"><h3>{escaped(title)}</h3><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_links(title, 'csv')}</figure>"
    )


def cards(items: Sequence[tuple[str, str, str]]) -> str:
    """Headline numbers, each as (label, number, what it was before)."""
    each = "".join(
        f"<div><dt>{escaped(label)}</dt><dd>{escaped(number)}<small>{escaped(more)}</small></dd></div>"
        for label, number, more in items
    )
    return f'<dl class="cards">{each}</dl>'


def legend(*keys: tuple[str, str, str]) -> str:
    """A row of (label, colour, "line" | "band" | "dots" | "dash")."""
    items = "".join(
        f'<span><i class="{shape}" style="--colour:{colour}"></i>{escaped(label)}</span>'
        for label, colour, shape in keys
    )
    return f'<div class="legend">{items}</div>'


def choices(models: Sequence[str], left: str, right: str) -> str:
    """Which two models all sliders of the page show."""

    def select(side: str, chosen: str) -> str:
        options = "".join(f"<option{' selected' if m == chosen else ''}>{escaped(m)}</option>" for m in models)
        return f'<label>{side} <select data-side="{side.lower()}">{options}</select></label>'

    hint = '<span class="quiet">Drag the divider, or move it with the arrow keys.</span>'
    return f'<div class="choices">{select("Left", left)}{select("Right", right)}{hint}</div>'


def slider(pictures: dict[str, bytes], title: str, numbers: str) -> str:
    """Pictures of one frame by several models, two of them one over the other with a divider to drag.

    Args:
        pictures: JPEG files by the models' names.
        numbers: HTML under them.
    """
    images = "".join(
        f'<img data-model="{escaped(name)}" src="data:image/jpeg;base64,{b64encode(jpeg).decode()}" '
        f'alt="Lanes of {escaped(name)} on {escaped(title)}">'
        for name, jpeg in pictures.items()
    )
    return (
        f'<figure class="frame"><div class="slider">{images}<b class="l"></b><b class="r"></b><i></i>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="divider of {escaped(title)}"></div>'
        f"<figcaption><b>{escaped(title)}</b>{numbers}</figcaption></figure>"
    )


def code(said: str) -> str:
    """A command to copy."""
    return f"<pre><code>{escaped(said)}</code></pre>"


def _links(title: str, *kinds: str) -> str:
    buttons = "".join(f'<button type="button" data-save="{kind}">{kind.upper()}</button>' for kind in kinds)
    return f'<div class="links" data-name="{escaped(title)}">{buttons}</div>'


def _cell(value: Any, form: str) -> str:
    """A cell whose exact value, where it is printed shorter, stands beside it for the CSV file."""
    if value is None or value != value:
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="number" data-value="{json.dumps(value)}">{form % value}</td>'
    kind = ' class="number"' if isinstance(value, int) else ""
    return f"<td{kind}>{escaped(str(value))}</td>"
