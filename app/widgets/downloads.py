"""Quiet links under a chart that save it from the browser: PNG, SVG and, where its numbers are given, CSV.

The chart's own SVG layers become one file, so nothing has to draw it a second time on the server.
"""

from __future__ import annotations

from app.widgets.component import component

_HTML = """
<div class="sf-files" role="group"></div>
"""

_CSS = """
.sf-files { display: flex; justify-content: flex-end; gap: 0.75rem; height: 1.1rem; }
.sf-files button { all: unset; font: 0.75rem/1.1rem var(--st-font); color: var(--st-text-color); opacity: 0.6;
  cursor: pointer; }
.sf-files button:hover { opacity: 1; text-decoration: underline; }
.sf-files button:focus-visible { opacity: 1; outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_JS = """
const SCALE = 2;  // pixels of a PNG for each of the screen
export default function({ data, parentElement }) {
  const host = parentElement.getRootNode().host, bar = parentElement.querySelector('.sf-files');
  const whole = () => {
    const plot = host.closest('[data-testid=stVerticalBlock]').querySelector('.js-plotly-plot');
    const [svg, ...layers] = [...plot.querySelectorAll('.main-svg')].map((layer) => layer.cloneNode(true));
    for (const layer of layers) svg.append(...layer.childNodes);
    svg.querySelectorAll('.hoverlayer, .draglayer, .zoomlayer').forEach((part) => part.remove());
    svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    svg.removeAttribute('style');
    const paper = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    paper.setAttribute('width', '100%'); paper.setAttribute('height', '100%');
    paper.setAttribute('fill', getComputedStyle(host).getPropertyValue('--st-background-color').trim() || '#fff');
    svg.prepend(paper);
    return svg;
  };
  const text = (svg) => new Blob([new XMLSerializer().serializeToString(svg)], { type: 'image/svg+xml' });
  const save = (blob, ending) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob); link.download = data.name + '.' + ending;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const png = async () => {
    const svg = whole(), picture = new Image(), canvas = document.createElement('canvas');
    picture.src = URL.createObjectURL(text(svg));
    await picture.decode();
    canvas.width = SCALE * svg.getAttribute('width'); canvas.height = SCALE * svg.getAttribute('height');
    canvas.getContext('2d').drawImage(picture, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(picture.src);
    canvas.toBlob((blob) => save(blob, 'png'));
  };
  const kinds = { PNG: png, SVG: () => save(text(whole()), 'svg') };
  if (data.csv) kinds.CSV = () => save(new Blob([data.csv], { type: 'text/csv' }), 'csv');
  bar.setAttribute('aria-label', 'Save: ' + data.alt);
  bar.replaceChildren(...Object.entries(kinds).map(([kind, act]) => {
    const button = document.createElement('button');
    button.type = 'button'; button.textContent = kind; button.onclick = act;
    button.title = button.ariaLabel = 'Save as ' + kind;
    return button;
  }));
}
"""


def downloads(name: str, alt: str, csv: str | None, key: str) -> None:
    """Links that save the Plotly chart of the same container.

    Args:
        name: of the files, without their ending.
        alt: what the chart shows.
        csv: its numbers.
    """
    component("downloads", _HTML, _CSS, _JS)(data={"name": name, "alt": alt, "csv": csv}, key=key)
