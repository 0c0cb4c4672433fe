"""What every peer is given and makes, and the registry of them. One more is one more file that registers a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.registries import Registry

FILES = ("model", "frames", "inputs")  # of a problem


@dataclass(frozen=True)
class Settings:
    """Of this project's own entries.

    Attributes:
        scheme: bits and grids.
        steps, rate: of tuning.
        seed: of whatever is drawn.
    """

    scheme: str = "W8A8-portable-adds"
    steps: int = 60
    rate: float = 0.004
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """A network and its calibration frames, as files: all peers see the same ones.

    Attributes:
        detector, weights: by name, and its checkpoint: what the model was exported from.
        model: the network in full precision, ONNX, for one image.
        frames: (N, ...) stacked frames, .npy: uint8 of images.
        inputs: (N, ...) float32, .npy: the same as the network reads them.
    """

    detector: str
    weights: str | None
    model: Path
    frames: Path
    inputs: Path
    settings: Settings = Settings()

    def samples(self) -> list[np.ndarray]:
        """Each input on its own, as the model reads it: (1, ...)."""
        every = np.load(self.inputs)
        return [every[place : place + 1] for place in range(len(every))]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {name: str(getattr(self, name)) for name in FILES}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Problem:
        """What :meth:`to_dict` gave."""
        files = {name: Path(given[name]) for name in FILES}
        return cls(given["detector"], given["weights"], **files, settings=Settings(**given["settings"]))


@dataclass(frozen=True)
class Made:
    """What a peer made of a problem.

    Attributes:
        file: an .onnx or .xml file.
        engines: those that it is for.
        bits: of what is quantized, in words.
    """

    file: Path
    engines: tuple[str, ...]
    bits: str = "W8A8"


Peer = Callable[[Problem, Path], Made]  # writes into an empty folder of its own

PEERS: Registry[Peer] = Registry("peer", "benchmarks.peers")
