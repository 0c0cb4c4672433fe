"""Names as they can be shown on one line and written to any disk; the names themselves are whatever the disk holds."""

from __future__ import annotations

import hashlib
import os
import re

LONGEST = 255  # bytes of a file's name, on every usual file system
# Control characters, line ends, marks that turn the direction of writing, and bytes that are no text.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@")


def printable(text: object) -> str:
    r"""A name, or a text with names in it, as it can be shown: on one line, and of characters that every encoding of
    Unicode has. What cannot be shown is written as in Python: a line end as ``\n``, a byte that is no text as ``\xb5``.
    """
    return _UNSHOWN.sub(_escaped, str(text))


def shortened(name: str, most: int = LONGEST) -> str:
    """A name of at most so many bytes; of a longer one the beginning, and a hash that tells it from others."""
    if len(os.fsencode(name)) <= most:
        return name
    end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    while len(os.fsencode(name)) > most - len(end):
        name = name[:-1]
    return name + end


def plain_in_markdown(text: object) -> str:
    """A text with names in it, for where Markdown is shown: it holds no link, and no picture from elsewhere.

    Whoever names a file or a run could have others' browsers ask an address of theirs for it. All else may stay.
    """
    return str(text).replace("](", "]\\(")


def plain_in_table(cell: object) -> object:
    """A cell as a spreadsheet takes for a text, where it would take it for a formula: with an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(_FORMULA) else cell


def left_behind(name: str) -> bool:
    """Whether a path in a folder is of what systems leave beside people's files: ``._a.jpg``, ``__MACOSX/a/b.json``."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    byte = 0xDC80 <= code <= 0xDCFF  # how Python keeps a byte of a name that is no text
    return f"\\x{code - 0xDC00:02x}" if byte else repr(found[0])[1:-1]
