"""Docstrings as the reference wants them: ``:class:`Scheme``` becomes a link, and a session an example."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, NameResolutionError, Object

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`~?([\w.]+)`")
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)  # the section of sessions is the one in the plural


class Docstrings(Extension):
    """Griffe calls this for every object that it has read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            linked = ROLE.sub(lambda role: _link(obj, role[1]), obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", linked)


def _link(where: Object, name: str) -> str:
    """A link to what ``name`` means there; plain text where the reference does not have it."""
    try:
        target = name if name.startswith("sfcore.") else where.resolve(name)
    except NameResolutionError:
        target = name
    return f'<autoref identifier="{target}" optional><code>{name}</code></autoref>'
