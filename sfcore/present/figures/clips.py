"""Short films: consecutive frames with two pictures beside each other, as a file that browsers play."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from sfcore.detectors.base import Image
from sfcore.errors import InputError
from sfcore.present.figures.captions import captioned

RATE = 10  # frames a second: slow enough to follow a lane
GAP = 4  # pixels between the two pictures


def beside(left: Image, right: Image, left_title: str, right_title: str) -> Image:
    """Two pictures of one size, side by side, each with its title in the upper corner."""
    gap = np.zeros((left.shape[0], GAP, 3), np.uint8)
    return np.concatenate([captioned(left, left_title), gap, captioned(right, right_title)], 1)


def webm(frames: Iterable[Image], rate: int = RATE) -> bytes:
    """Frames (RGB) as a WebM film: VP8, which all browsers play and OpenCV's own builds write.

    The film has the size of the first frame; others are scaled to fit, on black.

    Raises:
        InputError: this OpenCV cannot write it.
    """
    with tempfile.TemporaryDirectory(prefix="sfcore-clip-") as folder:
        file, writer, size = Path(folder) / "clip.webm", cv2.VideoWriter(), (0, 0)
        for frame in frames:
            if not writer.isOpened():
                size = frame.shape[0] - frame.shape[0] % 2, frame.shape[1] - frame.shape[1] % 2  # VP8 halves colour
                writer.open(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), rate, size[::-1])
            if not writer.isOpened():
                raise InputError(
                    "this OpenCV writes no VP8 films: install opencv-python-headless, or choose another view"
                )
            writer.write(_placed(frame, size)[..., ::-1])  # a frame of another size it would leave out
        writer.release()
        return file.read_bytes()


def _placed(frame: Image, size: tuple[int, int]) -> Image:
    """The frame in a picture of ``size`` (height, width): cut where it is a pixel larger, else scaled to fit."""
    height, width = size
    if 0 <= frame.shape[0] - height <= 1 and 0 <= frame.shape[1] - width <= 1:
        return frame[:height, :width]
    scale = min(height / frame.shape[0], width / frame.shape[1])
    rows, columns = (max(1, int(side * scale)) for side in frame.shape[:2])
    page, top, left = np.zeros((height, width, 3), np.uint8), (height - rows) // 2, (width - columns) // 2
    page[top : top + rows, left : left + columns] = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
    return page
