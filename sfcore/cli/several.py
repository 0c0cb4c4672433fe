"""Options that take several values after one flag, ``--bits W8A8 W4A4``, which click knows only as repeated flags."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

_NUMBER = re.compile(r"-\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)


def taking_several(*flags: str) -> type[TyperCommand]:
    """The class of a command whose options ``flags`` take all values up to the next flag; they may also be repeated."""

    class Several(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> Any:
            return super().parse_args(ctx, repeated(args, flags))

    return Several


def repeated(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """A command line in which each value of some flags has the flag before it."""
    found: list[str] = []
    flag, waiting = "", False  # the flag whose values are being read; whether it still has none
    for place, word in enumerate(words):
        if word == "--":
            return [*found, *words[place:]]
        if word.startswith("-") and len(word) > 1 and not _NUMBER.fullmatch(word):
            name = word.partition("=")[0]
            flag, waiting = (name, name == word) if name in flags else ("", False)
            found.append(word)
            continue
        found += [flag, word] if flag and not waiting else [word]
        waiting = False
    return found
