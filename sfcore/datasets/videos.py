"""Frames of videos: counted by decoding, read by exact number.

A frame goes by a path of its own: frame 120 of ``drive.mp4`` is ``drive.mp4/000120``. What a container says of its
length, and where seeking in it ends up, are often wrong; so frames are counted and found by decoding from the start.
Reading in rising order decodes each frame once; going back begins anew.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
from cachetools import LRUCache

from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.roots import readable

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")
# For FFmpeg a file may also be a list that names others, which nobody has asked whether they may be read.
PLAIN_CONTAINERS = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "format_whitelist;mov,matroska,avi|protocol_whitelist;file"}
MOST_PIXELS = 64_000_000  # of a frame: larger ones are refused before they are converted
MOST_FRAMES = 1_000_000  # that are counted of a whole video: nine hours, and as much memory as their names take
SLOWEST = 0.01  # frames a second; below it is damage where frames are missing, too
MOST_OPEN = 4  # videos that a process keeps open

_readers: LRUCache[tuple[int, Path, int], _Reader] = LRUCache(MOST_OPEN)
_lock = Lock()
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read at its first use; errors are told by ours, in one line


def is_video(path: Path) -> bool:
    """Whether the path is a file that is called like a video."""
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)


def frame_of(path: Path) -> tuple[Path, int] | None:
    """The video and the number of the frame that a path stands for; None where it stands for no frame."""
    return (path.parent, int(path.name)) if path.name.isdecimal() and is_video(path.parent) else None


def frames(video: Path, part: slice = slice(None)) -> list[Path]:
    """The paths of a video's frames, or of a part of them; no more are decoded than needed to know how many there are.

    Raises:
        InputError: it cannot be decoded.
    """
    needed = part.stop if part.stop is not None and part.stop >= 0 and (part.start or 0) >= 0 else None
    return [video / f"{number:06d}" for number in range(count_frames(video, needed))[part]]


def count_frames(video: Path, most: int | None = None) -> int:
    """How many frames can be decoded; counting ends at ``most``.

    Raises:
        InputError: none can, some are missing for its time scale is damaged, or without ``most`` there are too many.
    """
    return _count(video, video.stat().st_mtime_ns, most)


def read_frame(video: Path, number: int) -> Image:
    """A frame as (height, width, 3) uint8 RGB.

    Raises:
        InputError: the video cannot be decoded, or ends before.
    """
    key = (os.getpid(), video, video.stat().st_mtime_ns)  # an open file that a fork shares has only one position
    with _lock:
        reader = _readers.pop(key, None)
        if reader is None or reader.at > number:
            reader = _Reader(video)
        image = reader.image(number)
        _readers[key] = reader
    return image


class _Reader:
    """A video open at the frame ``at``."""

    def __init__(self, video: Path) -> None:
        self.video, self.at = video, -1
        with explained(video, "read"):
            readable(video).open("rb").close()  # what the system says of it is not that it holds no frame
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            # From the root, for FFmpeg takes "a:" in front for a protocol; as bytes, for names that are no text.
            name: Any = os.fsencode(video.absolute())
            self.capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        finally:
            cv2.utils.logging.setLogLevel(level)
        pixels = self.capture.get(cv2.CAP_PROP_FRAME_WIDTH) * self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if pixels > MOST_PIXELS:
            raise InputError(f"{video} has frames of more than {MOST_PIXELS // 10**6} megapixels: scale it down first")

    @property
    def promised(self) -> int:
        """Frames that the container claims to hold; 0 where it does not say."""
        return max(int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def advance(self) -> bool:
        """Decode the next frame; False at the end, and for what is no video."""
        found = bool(self.capture.grab())
        self.at += found
        return found

    def image(self, number: int) -> Image:
        """A frame from ``at`` on."""
        while self.at < number:
            if not self.advance():
                raise _ends_at(self.video, self.at, number)
        found, bgr = self.capture.retrieve()
        if not found:
            raise InputError(f"frame {number} of {self.video} cannot be decoded: leave it out, or copy the video again")
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def promised_frames(video: Path) -> int:
    """How many frames the container claims to hold; 0 where it does not say."""
    return _Reader(video).promised


@lru_cache(maxsize=64)
def _count(video: Path, written: int, most: int | None) -> int:
    reader = _Reader(video)
    end = MOST_FRAMES + 1 if most is None else most
    while reader.at + 1 < end and reader.advance():
        pass
    if most is None and reader.at + 1 == end:
        raise InputError(
            f"{video} has more than {MOST_FRAMES:,} frames: name a part of it, such as {video.name}[:1000]"
        )
    if reader.at < 0 and most != 0:
        raise _ends_at(video, -1, 0)
    if reader.at + 1 < min(end, reader.promised) and 0 < reader.capture.get(cv2.CAP_PROP_FPS) < SLOWEST:
        raise InputError(
            f"{video} gives {reader.at + 1} of its {reader.promised} frames, for it shows each for minutes: its time "
            "scale is damaged; copy it again, or convert it anew"
        )
    return reader.at + 1


def _ends_at(video: Path, last: int, wanted: int) -> InputError:
    if last < 0:
        return InputError(f"{video} holds no frame that can be decoded: copy it again, or convert it to H.264 in .mp4")
    return InputError(f"{video} has no frame {wanted}: choose one of 0 to {last}, or copy the video again")
