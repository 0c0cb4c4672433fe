"""Short films: consecutive frames with two pictures beside each other, as a file that browsers play."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from app.figures.captions import captioned
from sfcore.detectors.base import Image
from sfcore.errors import InputError

RATE = 10  # frames a second: slow enough to follow a lane
GAP = 4  # pixels between the two pictures


def beside(left: Image, right: Image, left_label: str, right_label: str) -> Image:
    """Two pictures of one size, side by side, each with its label in the upper corner."""
    gap = np.zeros((left.shape[0], GAP, 3), np.uint8)
    return np.concatenate([captioned(left, left_label), gap, captioned(right, right_label)], 1)


def webm(frames: Iterable[Image], rate: int = RATE) -> bytes:
    """Frames of one size (RGB) as a WebM film: VP8, which all browsers play and OpenCV's own builds write.

    Raises:
        InputError: this OpenCV cannot write it.
    """
    with tempfile.TemporaryDirectory(prefix="sfcore-clip-") as folder:
        file, writer = Path(folder) / "clip.webm", cv2.VideoWriter()
        for frame in frames:
            height, width = (side - side % 2 for side in frame.shape[:2])  # VP8 stores colour at half resolution
            if not writer.isOpened():
                writer.open(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), rate, (width, height))
            if not writer.isOpened():
                raise InputError(
                    "this OpenCV writes no VP8 films: install opencv-python-headless, or choose another view"
                )
            writer.write(frame[:height, :width, ::-1])
        writer.release()
        return file.read_bytes()
