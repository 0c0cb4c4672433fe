"""A quiet button that copies the page's address, which holds what is chosen on it."""

from __future__ import annotations

from app.widgets.component import component

_HTML = """
<button class="sf-link" type="button">Copy the link to this view</button>
"""

_CSS = """
.sf-link { all: unset; font: 0.86rem/1.6 var(--st-font); color: var(--st-text-color); opacity: 0.7; cursor: pointer; }
.sf-link:hover { opacity: 1; text-decoration: underline; }
.sf-link:focus-visible { opacity: 1; outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_JS = """
export default function({ parentElement }) {
  const button = parentElement.querySelector('.sf-link'), text = 'Copy the link to this view';
  const copy = async () => {
    if (navigator.clipboard) return navigator.clipboard.writeText(location.href);
    const field = document.createElement('textarea');  // plain http on another machine has no clipboard
    field.value = location.href;
    document.body.append(field); field.select();
    const done = document.execCommand('copy');
    field.remove();
    if (!done) throw new Error('refused');
  };
  button.onclick = async () => {
    button.textContent = await copy().then(() => 'Copied', () => 'Copy it from the address bar');
    setTimeout(() => { button.textContent = text; }, 2000);
  };
}
"""


def copy_link() -> None:
    """The button; what was uploaded is of this session alone and not in the address."""
    component("copy_link", _HTML, _CSS, _JS)(key="copy link")
