"""What ``distilled:64,epsilon=0.3`` says: how many images are distilled from a network, how, and where they are kept.

The images themselves are made by :mod:`sfcore.distil`, which has the network; here only their names are known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sfcore.errors import InputError
from sfcore.resources import cache

PREFIX = "distilled:"
DISTILLING = "distilling images"  # the phase in which they are made
VERSION = 1  # of the synthesis: another makes other images of the same settings
MOST = 1_000
FORM = f"{PREFIX}COUNT[,zeroq][,epsilon=0…1][,spread=0…1][,steps=N][,seed=N]"
_SIGN = re.compile("[0-9a-f]{12}")
_READ: dict[str, Callable[[str], Any]] = {"epsilon": float, "spread": float, "steps": int, "seed": int, "of": str}
_BOUNDS = {"count": (1, MOST), "epsilon": (0, 1), "spread": (0, 1), "steps": (1, 100_000), "seed": (0, 1_000_000)}


@dataclass(frozen=True)
class Distilled:
    """Images distilled from a network.

    Attributes:
        count: how many.
        zeroq: by ZeroQ, the baseline, which draws all images to the same statistics; DSG otherwise.
        epsilon: share of the channels of Gaussian noise that are within the margin of DSG. Published is 0.9, at which
            images of detectors stay near noise, for nothing else pulls them.
        spread: how far each image has targets of its own, in deviations of the network's channels; ours, 0 for none.
        steps: of Adam, for each batch.
        seed: of everything random.
        of: tells the network and its weights from others; empty where they are still to be chosen.
    """

    count: int
    zeroq: bool = False
    epsilon: float = 0.02
    spread: float = 0.0
    steps: int = 200
    seed: int = 0
    of: str = ""

    @classmethod
    def parse(cls, place: Path | str) -> Distilled:
        """Read a source, such as ``distilled:64,zeroq``, or one of its frames.

        Raises:
            InputError: it is none; the message names the part that is wrong and what is allowed.
        """
        text = str(place).partition("/")[0]
        count, *words = text.removeprefix(PREFIX).split(",")
        given: dict[str, Any] = {"count": _value(text, "count", int, count)}
        for word in words:
            name, equals, value = word.partition("=")
            if word != "zeroq" and not (equals and name in _READ):
                raise InputError(f"{text}: {word!r} says nothing about distilled images: write {FORM}")
            if name in given:
                raise InputError(f"{text} says {name} twice: leave one out")
            given[name] = True if word == "zeroq" else _value(text, name, _READ[name], value)
        if given.get("zeroq") and "epsilon" in given:
            raise InputError(f"{text}: ZeroQ has no margin, so leave epsilon or zeroq out")
        return cls(**given)

    def __str__(self) -> str:
        """As it is written, with what differs from the defaults."""
        usual = {each.name: each.default for each in fields(self)}
        said = {name: value for name, value in asdict(self).items() if value != usual[name]}
        count = said.pop("count")
        words = [name if value is True else f"{name}={value}" for name, value in said.items()]
        return ",".join([f"{PREFIX}{count}", *words])

    @property
    def frames(self) -> list[Path]:
        """What the images are called."""
        return [Path(str(self)) / f"{number:06d}" for number in range(self.count)]

    @property
    def folder(self) -> Path:
        """Where the images are kept, once they are made."""
        key = json.dumps([VERSION, asdict(self)]).encode()
        return cache() / "distilled" / hashlib.sha256(key).hexdigest()[:32]

    def file(self, number: int) -> Path:
        """The file of an image."""
        return self.folder / f"{number:06d}.png"

    @property
    def manifest(self) -> Path:
        """What was made, how and how well; written after all images."""
        return self.folder / "distilled.json"

    @property
    def made(self) -> bool:
        """Whether all images are there; those of a synthesis that was broken off are none."""
        return self.manifest.is_file() and all(self.file(number).is_file() for number in range(self.count))


def _value(text: str, name: str, read: Callable[[str], Any], given: str) -> Any:
    """A number within its bounds, or the sign of a network."""
    least, most = _BOUNDS.get(name, (0, 0))
    with suppress(ValueError):
        value = read(given)
        if _SIGN.fullmatch(value) if isinstance(value, str) else least <= value <= most:
            return value
    allowed = f"{least} to {most:,}" if name in _BOUNDS else "the 12 hex digits that name a network"
    raise InputError(f"{text}: {name} is {given!r}, but must be {allowed}: write {FORM}")
