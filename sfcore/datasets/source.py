"""Sources: texts that name frames, such as ``frames[:140]``, ``drive.mp4``, ``scenes:600`` or ``sweeps:64``.

Each kind of source is one file in ``sfcore/datasets/sources`` that registers a class. A frame goes by a path: that of
its file, or one that stands for a frame that no file holds, such as ``drive.mp4/000120`` or ``scenes:600/000012``;
either names it for good, and is a source of one frame itself.

A part of a source is named like a Python slice: ``frames[:140]`` is the first 140 frames, ``frames[140:]`` the rest,
``drive.mp4[::4]`` every fourth. Of a dataset a split may be named in front of it: ``culane[train]``,
``culane[train][:256]``.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, ClassVar

from sfcore.errors import InputError
from sfcore.registries import Registry
from sfcore.roots import check_listed, readable

_TEXT = re.compile(
    r"(?P<path>.+?)(?:\[(?P<split>[A-Za-z]\w*)\])?"
    r"(?:\[(?P<start>-?\d*):(?P<stop>-?\d*)(?::(?P<step>[1-9]\d*)?)?\])?",
    re.DOTALL,  # a name may hold a line end
)


class Source(ABC):
    """One kind of source; its objects have no state.

    Attributes:
        plain: its places are paths on the disk, and so only what is left where no other kind knows the name.
    """

    plain: ClassVar[bool] = False

    @abstractmethod
    def fits(self, place: Path) -> bool:
        """Whether a place, or one of its frames, is called as those of this kind are; nothing is looked for."""

    @abstractmethod
    def frames(self, place: Path, split: str | None, part: slice, formats: Collection[str]) -> list[Path]:
        """The frames of a part of a place, in order.

        Args:
            split: of a dataset; None for the usual one.
            formats: suffixes of the files that whoever asks can read; those of images stand for images of any origin.

        Raises:
            InputError: nothing is there, there is no such split, or its frames are of no such format.
        """

    @abstractmethod
    def read(self, frame: Path) -> Any:
        """A frame of a kind that this source knows, the same whenever it is read: an image as (height, width, 3) uint8
        RGB, a sweep as (points, 4) float32.

        Raises:
            InputError: it cannot be read.
        """

    @abstractmethod
    def content(self, frame: Path) -> bytes:
        """What tells a frame from all others, whatever it is called. Raises InputError: it cannot be read."""

    @abstractmethod
    def file(self, frame: Path) -> Path | None:
        """The file that holds a frame, alone or with others, there or not; None for a frame that is made."""


SOURCES: Registry[type[Source]] = Registry("kind of source", "sfcore.datasets.sources")


def source_of(place: Path) -> Source:
    """The kind of a place or a frame; whatever the name, what lies on the disk is only that."""
    kinds = [SOURCES[name]() for name in SOURCES]
    fitting = [kind for kind in kinds if kind.fits(place) and (kind.plain or not os.path.lexists(place))]
    return min(fitting, key=lambda kind: kind.plain)


def source_parts(text: str) -> tuple[Path, str | None, slice]:
    """The place, split and part that a source names; an existing path that looks like more is only that path."""
    path, match = Path(text), _TEXT.fullmatch(text)
    if match is None or path.exists():
        return path, None, slice(None)
    numbers = (int(match[name]) if match[name] else None for name in ("start", "stop", "step"))
    return Path(match["path"]), match["split"], slice(*numbers)


def frames_of(text: str, formats: Collection[str]) -> list[Path]:
    """The frames that a source names, at least one.

    Args:
        formats: see :meth:`Source.frames`.

    Raises:
        InputError: there are none.
    """
    place, split, part = source_parts(text)
    kind = source_of(place)
    if kind.plain:
        readable(place)
    frames = kind.frames(place, split, part, formats)
    if not frames:
        raise InputError(f"{text} selects none of the images of {place}: choose another part")
    check_frames(place, frames)
    return frames


def check_frames(place: Path, frames: Iterable[Path]) -> None:
    """Refuse frames of a place on the disk that lie where this server may not read; see :mod:`sfcore.roots`.

    Raises:
        InputError: one does.
    """
    kind = source_of(place)
    if kind.plain:
        check_listed(place, dict.fromkeys(filter(None, map(kind.file, frames))))


def absolute(text: str) -> str:
    """The source as it is called from any folder."""
    return os.path.abspath(text) if source_of(source_parts(text)[0]).plain else text


def is_there(frame: Path) -> bool:
    """Whether a frame can be asked for: its file is there, or it is made."""
    file = source_of(frame).file(frame)
    return file is None or file.is_file()
