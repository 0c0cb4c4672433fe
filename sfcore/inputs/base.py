"""What a network reads: how a frame is read from its file, becomes the network's input, and is shown to people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sfcore.drawing import Image

Frame = Any  # one frame as it is read: for images an array (height, width, 3), for points (4, N), ...


class InputSpec(ABC):
    """One kind of input with a detector's settings.

    A frame goes two steps: *stacked*, in a small type that many frames are kept in, and *normalised*, as the network
    reads it. Subclasses are frozen dataclasses of their settings.

    Attributes:
        kind: what the input is called: "image".
        noun: what one frame is called: "image".
        samples: the folder of sample data that holds frames of this kind, "" where none does.
        rendered: the source that renders frames of this kind; where there is none, that of roads says what it renders.
        formats: suffixes of the files that frames are read from, lower case with the dot.
        size: (height, width) of the plane that heads of layout "grid" lie on, in the pixels or cells that their
            strides count.
        top: share of the frame's height, from the top, that the plane leaves out.
    """

    kind: ClassVar[str]
    noun: ClassVar[str] = "frame"
    samples: ClassVar[str] = ""
    rendered: ClassVar[str] = "scenes"
    formats: ClassVar[tuple[str, ...]]
    size: tuple[int, int]
    top: float = 0.0

    def __call__(self, frames: Sequence[Frame]) -> Tensor:
        """Frames to the network's input, (B, ...) float."""
        return self.normalize(self.stack(frames))

    @abstractmethod
    def read(self, path: Path) -> Frame:
        """The frame of a file.

        Raises:
            InputError: it cannot be read.
        """

    def check(self, path: Path) -> None:
        """Look at a file that somebody else has sent, within bounds of what reading it may take.

        Raises:
            InputError: it cannot be read, or is too large.
        """
        self.read(path)

    @abstractmethod
    def stack(self, frames: Sequence[Frame]) -> Tensor:
        """Frames to (B, ...), of the same shape whatever the frames are.

        Raises:
            InputError: one is no frame of this kind.
        """

    @abstractmethod
    def normalize(self, stacked: Tensor) -> Tensor:
        """What :meth:`stack` gave to the network's input, (B, ...) float, on the same device."""

    @abstractmethod
    def example(self, count: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """So many stacked frames that look like nothing: random with a generator on the CPU, else all zero."""

    def augment(self, inputs: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
        """Changed copies of normalised inputs, for tuning; the same, copied, where nothing suits this kind.

        Args:
            generator: on the CPU; decides everything.
            strength: 1 for the usual changes, 0 for none.
        """
        return inputs.clone()

    @abstractmethod
    def size_of(self, frame: Frame) -> tuple[int, int]:
        """(height, width) of the frame's own coordinates, in which predictions about it are given."""

    @abstractmethod
    def canvas(self, frame: Frame) -> Image:
        """What a frame looks like, as a picture of :meth:`size_of`'s aspect that is drawn on."""

    def laid(self, plane: np.ndarray) -> np.ndarray:
        """A map over the plane that heads of layout "grid" lie on, (rows, columns, …), as it lies on the canvas; the
        same turns a canvas's map back."""
        return plane

    @abstractmethod
    def described(self) -> str:
        """What the network reads, in few words: "800 × 288 px"."""
