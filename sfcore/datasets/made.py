"""What sources of frames that are made, not found on the disk, have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from sfcore.datasets.images import FORMATS
from sfcore.datasets.layouts.folder import refuse_split
from sfcore.datasets.source import Source
from sfcore.errors import InputError


class MadeFrames(Source):
    """Frames by how many there are, such as ``scenes:600``; one of them is ``scenes:600/000012``.

    Attributes:
        prefix: with which the names of such places begin.
        what: what the frames are called in messages.
        kind: what they are.
        formats: suffixes of files of that kind: whoever reads such files reads these frames.
        advice: what to do where only other files are read.
    """

    prefix: ClassVar[str]
    what: ClassVar[str]
    kind: ClassVar[str] = "images"
    formats: ClassVar[Collection[str]] = FORMATS
    advice: ClassVar[str]

    @abstractmethod
    def listed(self, place: Path) -> list[Path] | None:
        """All frames of a place; None of a place that is one of them. Raises InputError: there is no such place."""

    def fits(self, place: Path) -> bool:
        return str(place).startswith(self.prefix)

    def frames(self, place: Path, split: str | None, part: slice, formats: Collection[str]) -> list[Path]:
        refuse_split(place, split)
        if set(self.formats).isdisjoint(formats):
            raise InputError(
                f"{place}: {self.what} are {self.kind}, and this detector reads {', '.join(formats)}: {self.advice}"
            )
        found = self.listed(place)
        return [place] if found is None else found[part]
