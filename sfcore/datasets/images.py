"""Images: those of sources in order, and reading, checking and telling them apart.

What a source is, and what its frames are called, is in :mod:`sfcore.datasets.source`.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import PIL.Image

from sfcore.datasets.orientation import SIDEWAYS, orientation, upright
from sfcore.datasets.source import frames_of, source_of
from sfcore.drawing import Image
from sfcore.errors import InputError
from sfcore.files import explained, read_bytes
from sfcore.names import left_behind
from sfcore.roots import readable

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}
MAX_PIXELS = 64_000_000  # larger images are refused before they are decoded
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}  # the last bytes of a complete file

T = TypeVar("T")


@dataclass(frozen=True)
class ImageSet:
    """Images of one or several sources, in order.

    Attributes:
        files: the paths of image files and of other frames, source after source.
        source_index: which of the sources each file comes from.
    """

    files: tuple[Path, ...]
    source_index: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files)


def image_set(sources: Sequence[Path | str], limit: int | None = None, formats: Collection[str] = FORMATS) -> ImageSet:
    """The images of all ``sources``.

    Args:
        sources: folders, datasets, videos, files, rendered scenes, or parts of them (``frames[:140]``).
        limit: at most so many images in all: an equal share of each source, evenly spaced over its files.
        formats: suffixes of the files that are taken: those that a detector's input is read from.

    Raises:
        InputError: no source, a source that does not exist or holds no image, a limit under 1.
    """
    if not sources:
        raise InputError("no images were given: name a folder, a video or an image file")
    if limit is not None and limit < 1:
        raise InputError(f"the limit is {limit}: it must be at least 1 image")
    found = [frames_of(str(source), formats) for source in sources]
    if limit is not None:
        shares = _shares([len(files) for files in found], limit)
        found = [evenly(files, share) for files, share in zip(found, shares, strict=True)]
    index = [i for i, files in enumerate(found) for _ in files]
    return ImageSet(tuple(f for files in found for f in files), tuple(index))


def find_images(
    sources: Sequence[Path | str], limit: int | None = None, formats: Collection[str] = FORMATS
) -> list[Path]:
    """The files of :func:`image_set`, for those who need not know which source each comes from.

    Example:
        >>> from sfcore.resources import sample_data
        >>> [file.name for file in find_images([f"{sample_data()}/scenes[:2]"])]
        ['00-curve.jpg', '01-normal.jpg']
    """
    return list(image_set(sources, limit, formats).files)


def read_image(path: Path) -> Image:
    """An image of any source as (height, width, 3) uint8 RGB: a file, the frame of a video, a rendered scene.

    Frames of a video are read fastest in rising order.

    Raises:
        InputError: it cannot be read; see :func:`read_file`.
    """
    return source_of(path).read(path)


def read_file(path: Path, most_pixels: int = MAX_PIXELS) -> Image:
    """An image file as (height, width, 3) uint8 RGB; grey, transparent and 16-bit images are converted.

    It is upright, as its EXIF orientation says. The header is checked before anything is decoded, so an oversized
    image costs no memory.

    Args:
        most_pixels: a larger image file is refused.

    Raises:
        InputError: the file is missing, empty, truncated, no image, of another format, or too large.
    """
    header = _check_header(path, most_pixels)
    data = read_bytes(path, "image")
    if not _complete(data, header.form, path):
        raise InputError(f"{path} is truncated: copy or export it again")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        raise InputError(f"{path} is damaged and cannot be decoded: copy or export it again")
    return upright(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, decoded), header.turned)  # in place: it may be large


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) that :func:`read_image` gives an image; of a file only the header is read.

    Raises:
        InputError: it is missing, no image, or too large.
    """
    if source_of(path).file(path) != path:
        height, width = read_image(path).shape[:2]
        return height, width
    if not os.path.isfile(path):
        raise InputError(f"there is no readable image {path}: copy or export it again")
    return _check_header(path, MAX_PIXELS).size


def image_files(folder: Path, formats: Collection[str] = FORMATS) -> list[Path]:
    """What lies in a folder under the name of an image, sorted; not its folders, nor what other systems leave behind.

    Args:
        formats: the suffixes that make a file one.

    Raises:
        InputError: the folder cannot be read.
    """
    with explained(folder, "read"):
        named = [file for file in folder.iterdir() if file.suffix.lower() in formats and not left_behind(file.name)]
        return sorted(file for file in named if not file.is_dir())


def read_images(paths: Sequence[Path]) -> list[Image]:
    """The images of ``paths`` in order; see :func:`read_image`."""
    return [read_image(path) for path in paths]


def image_batches(files: Sequence[Path], size: int = 8) -> Iterator[tuple[int, list[Image]]]:
    """Images ``size`` at a time, each time with how many have been read; see :func:`read_image`."""
    for start in range(0, len(files), size):
        images = read_images(files[start : start + size])
        yield start + len(images), images


def content_hash(paths: Sequence[Path]) -> str:
    """SHA-256 (hex) over the contents of files and other frames in order, whatever they are called."""
    digest = hashlib.sha256()
    for path in paths:
        data = source_of(path).content(path)
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _shares(counts: list[int], limit: int) -> list[int]:
    """Split ``limit`` equally over the sources; what a small source cannot use goes to the others."""
    shares = [0] * len(counts)
    for done, source in enumerate(sorted(range(len(counts)), key=lambda i: counts[i])):
        shares[source] = min(counts[source], -(-(limit - sum(shares)) // (len(counts) - done)))
    return shares


def evenly(things: Sequence[T], count: int) -> list[T]:
    """``count`` of the things, which are at least as many, evenly spaced."""
    return [things[i * len(things) // count] for i in range(count)]


@dataclass(frozen=True)
class _Header:
    """What the first bytes of an image file say.

    Attributes:
        form: its format, by Pillow's name.
        size: (height, width) once it is upright.
        turned: its EXIF orientation.
    """

    form: str
    size: tuple[int, int]
    turned: int


def _check_header(path: Path, most_pixels: int) -> _Header:
    readable(path)
    if not os.path.isfile(path):
        raise InputError(f"there is no image {path}: check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes): copy or export it again")
    try:
        with _opened(path) as header:
            (width, height), form, turned = header.size, str(header.format), orientation(path, header)
    except PIL.Image.DecompressionBombError:
        width, height, form, turned = MAX_PIXELS + 1, 1, "", 1  # Pillow's own limit is higher than ours
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise whatever they stumble over
        raise InputError(f"{path} is no image: it must be one of {', '.join(FORMATS)}") from error
    if width * height > most_pixels:
        raise InputError(f"{path} has more than {most_pixels // 10**6} megapixels: scale it down first")
    return _Header(form, (width, height) if turned in SIDEWAYS else (height, width), turned)


@contextmanager
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """An image file as Pillow opens it, of our formats only, and without its warnings."""
    with explained(path, "read"):
        file = path.open("rb")
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PIL.Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
            yield image


def _complete(data: bytes, form: str, path: Path) -> bool:
    """Whether the file holds all of its image. OpenCV paints the missing part grey and says nothing."""
    if form in _END_MARKERS and data.endswith(_END_MARKERS[form]):
        return True
    try:  # no marker at the very end: other formats, or harmless bytes after it; Pillow decodes strictly
        with _opened(path) as image:
            image.load()
    except Exception:  # see above
        return False
    return True
