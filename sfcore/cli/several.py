"""Options that take several values after one flag, ``--bits W8A8 W4A4``, which click knows only as repeated flags."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise, takewhile
from typing import Any

from typer.core import TyperCommand, TyperOption

SEVERAL = "..."  # at the end of the metavar of an option that takes several values
_NUMBER = re.compile(r"-\d*\.?\d+(e[+-]?\d+)?", re.IGNORECASE)


class SeveralValues(TyperCommand):
    """A command whose options with ``...`` after their metavar take all words up to the next flag; they may also be
    repeated. No option takes a flag for its value: ``--out --json`` is wrong usage, ``--out=--json`` is meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = [one for one in self.params if isinstance(one, TyperOption) and not one.is_flag]
        missing = valueless(args, [flag for one in options for flag in one.opts])
        if missing and not ctx.resilient_parsing:  # which is how shells ask what could come next
            ctx.fail(f"Option {missing!r} requires an argument; one that begins with '-' is written {missing}=VALUE.")
        several = [flag for one in options if (one.metavar or "").endswith(SEVERAL) for flag in one.opts]
        return super().parse_args(ctx, repeated(args, several))


def valueless(words: Sequence[str], flags: Collection[str]) -> str | None:
    """The first of ``flags`` that another flag, or nothing, follows instead of a value."""
    options = [*takewhile(lambda word: word != "--", words), "--"]
    return next((word for word, following in pairwise(options) if word in flags and _is_flag(following)), None)


def repeated(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """A command line in which each value of some flags has the flag before it."""
    found: list[str] = []
    flag, waiting = "", False  # the flag whose values are being read; whether it still has none
    for place, word in enumerate(words):
        if word == "--":
            return [*found, *words[place:]]
        if _is_flag(word):
            name = word.partition("=")[0]
            flag, waiting = (name, name == word) if name in flags else ("", False)
            found.append(word)
            continue
        found += [flag, word] if flag and not waiting else [word]
        waiting = False
    return found


def _is_flag(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not _NUMBER.fullmatch(word)
