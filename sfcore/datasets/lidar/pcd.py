"""The Point Cloud Library's ``.pcd`` files, as text and as plain binary; of their fields x, y, z and an intensity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sfcore.errors import InputError
from sfcore.files import read_bytes

HEADER = 4096  # bytes within which the header ends
_REFLECTANCE = ("intensity", "reflectance", "reflectivity", "i")
_KINDS = {"F": "f", "I": "i", "U": "u"}
_AGAIN = "export it again, with DATA ascii or binary"


@dataclass(frozen=True)
class _Header:
    """What the lines in front say.

    Attributes:
        record: NumPy's type of one point.
        points: how many there are.
        data: "ascii", "binary", …
        end: where the points begin, in bytes.
    """

    record: np.dtype
    points: int
    data: str
    end: int


def read_pcd(path: Path) -> np.ndarray:
    """(N, 4) x, y, z, reflectance; 0 where the file has no intensity. Raises InputError: it is damaged or compressed.

    https://pointclouds.org/documentation/tutorials/pcd_file_format.html
    """
    content = read_bytes(path, "sweep")
    header = _parsed(content[:HEADER], path)
    if header.data == "binary":
        rows = _binary(content, header, path)
    elif header.data == "ascii":
        rows = _text(content, header, path)
    else:
        raise InputError(f"{path} has DATA {header.data}, which is not read: {_AGAIN}")
    names = rows.dtype.names or ()
    missing = [name for name in "xyz" if name not in names]
    if missing:
        raise InputError(f"{path} has the fields {', '.join(names)}, but no {missing[0]}: {_AGAIN}")
    light = next((name for name in _REFLECTANCE if name in names), None)
    columns = [rows[name].astype(np.float64) for name in "xyz"]
    return np.stack([*columns, rows[light].astype(np.float64) if light else np.zeros(len(rows))], 1)


def _parsed(head: bytes, path: Path) -> _Header:
    lines: dict[str, list[str]] = {}
    end = 0
    for line in head.splitlines(keepends=True):
        end += len(line)
        words = line.decode("ascii", "replace").split()
        if words and not words[0].startswith("#"):
            lines[words[0]] = words[1:]
        if words[:1] == ["DATA"]:
            break
    try:
        names, sizes, kinds = lines["FIELDS"], lines["SIZE"], lines["TYPE"]
        counts = [int(count) for count in lines.get("COUNT", ["1"] * len(names))]
        formats = [f"<{_KINDS[kind]}{int(size)}" for kind, size in zip(kinds, sizes, strict=True)]
        # PCL calls padding "_", several times over
        unique = [name if names.count(name) == 1 else f"{name}{place}" for place, name in enumerate(names)]
        fields = [
            (name, form, (count,)) if count != 1 else (name, form)
            for name, form, count in zip(unique, formats, counts, strict=True)
        ]
        points = int(lines["POINTS"][0]) if "POINTS" in lines else int(lines["WIDTH"][0]) * int(lines["HEIGHT"][0])
        if points < 0 or min(counts) < 1:
            raise ValueError("a count is negative")
        return _Header(np.dtype(fields), points, lines["DATA"][0], end)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"{path} has no header of a .pcd file, or a damaged one ({error}): {_AGAIN}") from error


def _binary(content: bytes, header: _Header, path: Path) -> np.ndarray:
    needed = header.end + header.points * header.record.itemsize
    if len(content) < needed:
        raise InputError(f"{path} is truncated ({len(content):,} of {needed:,} bytes): copy or export it again")
    return np.frombuffer(content, header.record, header.points, header.end)


def _text(content: bytes, header: _Header, path: Path) -> np.ndarray:
    names = header.record.names or ()
    widths = [int(np.prod(header.record[name].shape, dtype=int)) for name in names]
    starts = np.cumsum([0, *widths])
    try:
        numbers = np.array(content[header.end :].split(), dtype="S32").astype(np.float64)
    except ValueError as error:
        raise InputError(f"{path} has a point that is no number ({error}): {_AGAIN}") from error
    if len(numbers) != header.points * starts[-1]:
        raise InputError(
            f"{path} has {len(numbers):,} numbers and its header says {header.points:,} points of {starts[-1]}: it is "
            "truncated or damaged, copy or export it again"
        )
    table = numbers.reshape(header.points, -1)
    single = [(name, start) for name, start, width in zip(names, starts, widths, strict=False) if width == 1]
    rows = np.empty(header.points, np.dtype([(name, "<f8") for name, _ in single]))
    for name, start in single:
        rows[name] = table[:, start]
    return rows
