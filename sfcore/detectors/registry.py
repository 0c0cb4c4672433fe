"""The detectors that exist, by name. A detector's file registers itself; so does a user's, from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from sfcore.detectors.base import Detector
from sfcore.detectors.checkpoints import Misfit, dictionaries, fitting, load_weights
from sfcore.detectors.serialization import read_metadata
from sfcore.errors import InputError
from sfcore.files import Stamp, stamp
from sfcore.inputs.base import InputSpec
from sfcore.registries import Registry
from sfcore.resources import sample_data


@dataclass(frozen=True)
class Entry:
    """A registered detector.

    Attributes:
        name: how users call it.
        build: makes the network, without weights.
        weights: file name of the weights that ship with the project, or None.
        source: paper and published code, for people.
        network: the file that ``build`` reads network and weights from, such as an .onnx file; None for one in Python.
    """

    name: str
    build: Callable[[], Detector]
    weights: str | None
    source: str
    network: Path | None = None

    @cached_property
    def sample(self) -> Detector:
        """One whose tensors have shapes and no numbers, to tell its heads, its task and its input by; never to be
        changed. All detectors with their numbers would take a gigabyte."""
        try:
            with torch.device("meta"):
                return self.build()
        except Exception:  # one that looks at its numbers while it is built
            return self.build()

    @property
    def input(self) -> InputSpec:
        """What it reads."""
        return self.sample.preprocessing

    @property
    def shipped(self) -> Path | None:
        """The file of the weights that need not be given: those that ship, or the network's own; None where none."""
        if self.network is not None:
            return self.network
        return sample_data() / "weights" / self.weights if self.weights else None

    @property
    def score(self) -> dict[str, float]:
        """What the shipped weights score on unseen rendered scenes: f1 at IoU 0.5, shift_px at 640 px image width,
        of boxes also ap50; empty where none ship."""
        if self.shipped is None or self.shipped == self.network or not self.shipped.is_file():
            return {}
        return dict(_score(self.shipped, stamp(self.shipped)))


@lru_cache(maxsize=64)
def _score(weights: Path, written: Stamp) -> dict[str, float]:
    """Asked of every detector whenever a page is drawn; ``written`` tells a new file from an old one of its name."""
    found: dict[str, float] = json.loads(read_metadata(weights).get("score", "{}"))
    return found


DETECTORS: Registry[Entry] = Registry("detector", "sfcore.detectors")


def register(
    name: str, *, weights: str | None = None, source: str = "", network: Path | None = None
) -> Callable[[Callable[[], Detector]], Callable[[], Detector]]:
    """Decorator: ``@register("my-detector")`` over a function or class that builds the detector.

    Args:
        weights, source, network: see :class:`Entry`.
    """
    own = None if network is None else network.expanduser().absolute()

    def add(build: Callable[[], Detector]) -> Callable[[], Detector]:
        DETECTORS.register(name)(Entry(name, build, weights, source, own))
        return build

    return add


def entries() -> list[Entry]:
    """All registered detectors, by name.

    Example:
        >>> [each.name for each in entries() if each.weights and each.name.startswith("l")]
        ['laneatt-tiny', 'lstr-tiny']
    """
    return [DETECTORS[name] for name in DETECTORS]


def entry(name: str) -> Entry:
    """The detector called ``name``. Raises InputError: there is none."""
    return DETECTORS[name]


def create(
    name: str, weights: str | Path | None = None, device: torch.device | str = "cpu", key: str | None = None
) -> Detector:
    """A detector in evaluation mode with its weights loaded.

    Args:
        weights: a checkpoint (safetensors, or one that ``torch.load(weights_only=True)`` reads); the
            shipped weights, or those that the network's own file holds, when None.
        key: which weights, in a checkpoint that holds several that fit (:func:`weights_keys`).

    Raises:
        InputError: no such detector, no weights given where none ship, several that fit, unsound ones, or a
            checkpoint that does not fit; the message says which detector it fits.

    Example:
        >>> detector = create("ganet-tiny")
        >>> [head.name for head in detector.heads]
        ['cpts', 'kpts', 'offset', 'error']
    """
    found = entry(name)
    path = Path(weights) if weights else found.shipped
    if path is None:
        raise InputError(f"{name} ships no weights: give its checkpoint (--weights FILE); published at {found.source}")
    detector = found.build()
    if path.absolute() == found.network:  # it has been built from it
        return detector.to(device).eval()
    try:
        load_weights(detector, path, key)
    except Misfit as error:
        others = fits(path)
        raise InputError(f"{error}; it fits {' and '.join(others)}") if others else error from None
    return detector.to(device).eval()


def weights_keys(name: str, path: Path) -> tuple[str, ...]:
    """Where in a checkpoint the weights are that fit a detector; several where one is to be chosen.

    Raises:
        InputError: no such detector, or the checkpoint cannot be read.
    """
    return tuple(fitting(_shape_of(entry(name)), dictionaries(path)))


def fits(path: Path) -> list[str]:
    """Names of the detectors whose tensors are those of a checkpoint.

    Raises:
        InputError: the checkpoint cannot be read.
    """
    found = dictionaries(path)
    return [each.name for each in entries() if fitting(_shape_of(each), found)]


def _shape_of(each: Entry) -> Detector:
    """A detector without memory for its tensors."""
    with torch.device("meta"):
        return each.build()
