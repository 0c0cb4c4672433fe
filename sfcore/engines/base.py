"""What every engine is, and the registry of them. One more is one more file that registers a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from sfcore.errors import InputError
from sfcore.registries import Registry

Outputs = list[np.ndarray]  # in the order of the file's outputs, which is that of the detector's heads


class Session(Protocol):
    """A file that is loaded and ready to run."""

    def __call__(self, images: np.ndarray) -> Outputs:
        """(N, 3, H, W) float32 to the raw output of each head, (N, ...). Raises InputError: the engine fails."""
        ...


Load = Callable[[Path, int], Session]  # a file and how many threads; 0 for as many as the engine likes

ENGINES: Registry[Load] = Registry("engine", "sfcore.engines")


def failed(engine: str, path: Path, error: Exception) -> InputError:
    """The message of an engine that cannot load or run a file: its own last words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return InputError(f"{engine} cannot run {path.name} ({lines[-1][:300]}): choose another engine, or another target")
