"""Sweeps in files: KITTI's ``.bin``, nuScenes' ``.pcd.bin``, ``.npy`` and ``.pcd``, all read to the same four numbers.

A sweep is (N, 4) float32: x ahead, y left, z up in metres of the sensor's frame, and reflectance in [0, 1].
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sfcore.datasets.lidar.pcd import read_pcd
from sfcore.errors import InputError
from sfcore.files import explained, read_bytes
from sfcore.roots import readable

FORMATS = (".bin", ".npy", ".pcd")  # ".pcd.bin" is one of the first
MOST_BYTES = 50_000_000  # larger files are refused before they are read
MOST_POINTS = 2_000_000
FARTHEST = 10_000.0  # metres; numbers beyond are no coordinates
_AGAIN = "copy or export it again"


def read_points(path: Path) -> np.ndarray:
    """The sweep of a file, (N, 4) float32: x, y, z in metres, reflectance in [0, 1].

    Points of which a number is not finite are left out: drivers write such for rays without echo. Reflectance above 1
    is taken to be counted to 255, as that of nuScenes is.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, too large or of another format.
    """
    _check_size(path)
    rows = _reader(path)(path)
    if len(rows) > MOST_POINTS:
        raise InputError(f"{path} has {len(rows):,} points: at most {MOST_POINTS:,} are read; export single sweeps")
    return _checked(rows, path)


def _check_size(path: Path) -> None:
    readable(path)
    if not os.path.exists(path):
        raise InputError(f"there is no sweep {path}: check the path, or copy it there")
    if not path.is_file():
        read_bytes(path, "sweep")  # says what is there instead
    with explained(path, "read"):
        size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes): {_AGAIN}")
    if size > MOST_BYTES:
        raise InputError(f"{path} has {size // 10**6} MB: at most {MOST_BYTES // 10**6} are read; export single sweeps")


def _reader(path: Path) -> Callable[[Path], np.ndarray]:
    name = path.name.lower()
    ends = [end for end in _READERS if name.endswith(end)]
    if not ends:
        raise InputError(f"{path} is no sweep that can be read: it must be one of {', '.join(_READERS)}")
    return _READERS[ends[0]]


def _checked(rows: np.ndarray, path: Path) -> np.ndarray:
    """Rows of x, y, z, reflectance without the points that are none, reflectance in [0, 1]."""
    points = rows[np.isfinite(rows).all(1)].astype(np.float32)
    if not len(points):
        raise InputError(f"{path} has no finite point among {len(rows):,}: {_AGAIN}")
    farthest = float(np.abs(points[:, :3]).max())
    if farthest > FARTHEST:
        raise InputError(
            f"{path} has a coordinate of {farthest:.3g} m, and no scanner sees beyond {FARTHEST:,.0f} m: it must hold "
            f"{_LAID[path.suffix.lower()]}; {_AGAIN}"
        )
    if points[:, 3].max() > 1:
        points[:, 3] /= 255
    points[:, 3] = points[:, 3].clip(0, 1)
    return points


_LAID = {
    ".bin": "four float32 a point (x, y, z, reflectance), or five and be called .pcd.bin",
    ".npy": "rows of x, y, z and reflectance in metres",
    ".pcd": "the fields x, y, z and intensity in metres",
}


def _read_bin(path: Path, numbers: int = 4) -> np.ndarray:
    data = read_bytes(path, "sweep")
    if len(data) % (4 * numbers):
        hint = "; one of nuScenes, with five numbers a point, must be called .pcd.bin" if numbers == 4 else ""
        raise InputError(
            f"{path} has {len(data):,} bytes, no multiple of the {4 * numbers} of a point ({numbers} float32): it is "
            f"truncated, {_AGAIN}{hint}"
        )
    return np.frombuffer(data, "<f4").reshape(-1, numbers)


def _read_nuscenes(path: Path) -> np.ndarray:
    """x, y, z, intensity of 0 to 255, and the number of the ring, which is left out."""
    return _read_bin(path, 5)[:, :4] * np.array([1, 1, 1, 1 / 255], np.float32)


def _read_npy(path: Path) -> np.ndarray:
    try:  # mapped, so that a header that promises more than the file holds takes no memory
        found = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # NumPy raises whatever a damaged header makes it stumble over
        raise InputError(f"{path} is no .npy file of numbers, or truncated: {_AGAIN}") from error
    if not (found.ndim == 2 and found.shape[1] >= 3 and found.dtype.kind in "fiu"):
        shape = f"{found.dtype} of shape {found.shape}"
        raise InputError(f"{path} holds {shape}: it must hold numbers of shape (points, 4) or (points, 3)")
    rows = np.array(found[: MOST_POINTS + 1, :4], np.float64)
    return rows if rows.shape[1] == 4 else np.pad(rows, ((0, 0), (0, 1)))


_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".pcd.bin": _read_nuscenes,
    ".bin": _read_bin,
    ".npy": _read_npy,
    ".pcd": read_pcd,
}
