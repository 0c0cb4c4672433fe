"""What a command and the workers that measure for it hand to each other: stacked frames, and agreements."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.files import explained, plain, write_atomic
from sfcore.tasks.base import Agreement

BATCH = 8  # frames that a calibration step sees at once


def digest(frames: Tensor) -> str:
    """What tells (N, ...) stacked frames from others."""
    found = hashlib.sha256(f"{frames.dtype}{tuple(frames.shape)}".encode())
    found.update(frames.cpu().numpy().tobytes())
    return found.hexdigest()[:16]


def write_frames(folder: Path, frames: Tensor) -> str:
    """Put stacked frames into a folder; the file, which is called by what they are."""
    file, content = folder / f"frames-{digest(frames)}.npy", io.BytesIO()
    if not file.is_file():
        np.save(content, frames.cpu().numpy(), allow_pickle=False)
        write_atomic(file, content.getvalue())
    return str(file)


def read_frames(file: str) -> Tensor:
    """What was written. Raises InputError: it is damaged, or not there."""
    try:
        with explained(Path(file), "read"):
            return torch.from_numpy(np.load(file, allow_pickle=False))
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}): delete it, then run again") from error


def batches_of(detector: Detector, frames: Tensor) -> list[Tensor]:
    """Stacked frames as calibration sees them."""
    return [detector.preprocessing.normalize(part.to(detector.device)) for part in frames.split(BATCH)]


def packed(agreed: Agreement) -> dict[str, Any]:
    """An agreement as JSON holds it to the last bit; null is what is undefined."""
    return dict(plain(asdict(agreed)))


def unpacked(content: Mapping[str, Any]) -> Agreement:
    """What was packed."""
    fields: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
    return Agreement(**fields)
