"""Label files read by the rules of docs/files-and-names.md in the plainest way, to hold sfcore's readers against.

A reader returns None for what is damaged.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

LaneList = list[list[list[float]]]
MARKS = {b"\xff\xfe\0\0": "utf-32-le", b"\0\0\xfe\xff": "utf-32-be", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def text_of(path: Path) -> str | None:
    """The text of a file; None where there is none, or what is there is no text."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    try:
        for mark, encoding in MARKS.items():
            if data[: len(mark)] == mark:
                text = data[len(mark) :].decode(encoding)
                break
        else:
            data = data[3:] if data[:3] == b"\xef\xbb\xbf" else data
            text = data.decode("utf-8", "surrogateescape")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def lines_of(text: str) -> list[str]:
    """The lines of a text; one that ends in nothing is none."""
    lines = text.split("\n") if "\n" in text else text.split("\r")
    lines = [line[:-1] if line[-1:] == "\r" else line for line in lines]
    return lines[:-1] if lines[-1] == "" else lines


def number(value: Any) -> float | None:
    """A number, or the text of one; None for anything else."""
    if isinstance(value, str):
        value = float(value) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def refused(constant: str) -> float:
    raise ValueError(constant)


def parsed(text: str | None) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text or "", parse_constant=refused)
    except ValueError:
        return None


def names(path: Path, root: Path) -> list[str] | None:
    """The images that a list names."""
    text = text_of(path)
    if text is None:
        return None
    found = [line.strip(" \t\v\f\r") for line in lines_of(text)]
    named = [name if (root / name.lstrip("/")).exists() else name.replace("\\", "/") for name in found if name]
    return [name.lstrip("/") for name in named]


def culane(path: Path) -> LaneList | None:
    text = text_of(path)
    if text is None:
        return None
    lanes: LaneList = []
    for line in lines_of(text):
        values = [number(word) for word in re.split(r"[ \t\v\f]+", line.strip(" \t\v\f\r")) if word]
        if None in values or len(values) % 2:
            return None
        lanes.append([[values[i], values[i + 1]] for i in range(0, len(values), 2)])  # type: ignore[list-item]
    return lanes


def curvelanes(path: Path) -> LaneList | None:
    entry = parsed(text_of(path))
    lines = entry.get("Lines") if isinstance(entry, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, list) for line in lines):
        return None
    lanes: LaneList = []
    for line in lines:
        if not all(isinstance(point, dict) for point in line):
            return None
        lane = [[number(point.get("x")), number(point.get("y"))] for point in line]
        if any(None in point for point in lane):
            return None
        lanes += [lane] if lane else []  # type: ignore[list-item]
    return lanes


def scene(entry: Any) -> LaneList | None:
    """The lanes of an entry of labels.json."""
    lanes = entry.get("lanes")
    if not isinstance(lanes, list) or not all(isinstance(lane, list) for lane in lanes):
        return None
    for lane in lanes:
        if not all(isinstance(point, list) and len(point) == 2 and None not in map(number, point) for point in lane):
            return None
    return [[[number(value) for value in point] for point in lane] for lane in lanes]  # type: ignore[misc]


def scenes(path: Path) -> dict[str, Any]:
    """The entries of labels.json by their files, up to the first damage."""
    text, found = text_of(path) or "", dict[str, Any]()
    place = text.find("[") + 1
    while place:
        while text[place : place + 1] in tuple(", \t\r\n"):
            place += 1
        try:
            entry, place = json.JSONDecoder(parse_constant=refused).raw_decode(text, place)
            found.setdefault(entry["file"], entry)
        except (ValueError, TypeError, KeyError):
            break
    return found


def tusimple(path: Path) -> dict[str, tuple[list[list[float]], list[float]] | None]:
    """(columns, heights) of each frame; of several lines about one the first counts."""
    found: dict[str, tuple[list[list[float]], list[float]] | None] = {}
    data = path.read_bytes() if path.is_file() else b""
    text = text_of(path)
    if text is None:  # line by line: one that is damaged costs no other
        text = data.replace(b"\xef\xbb\xbf", b"", 1).decode("utf-8", "surrogateescape")
    for line in lines_of(text):
        entry = parsed(line)
        if isinstance(entry, dict) and isinstance(entry.get("raw_file"), str):
            found.setdefault(entry["raw_file"], _columns(entry))
    return found


def _columns(entry: dict[str, Any]) -> tuple[list[list[float]], list[float]] | None:
    rows, heights = entry.get("lanes"), entry.get("h_samples")
    if not isinstance(rows, list) or not isinstance(heights, list) or not heights:
        return None
    if not all(isinstance(row, list) and len(row) == len(heights) for row in rows):
        return None
    columns = [[-2.0 if value is None else number(value) for value in row] for row in rows]
    lines = [number(value) for value in heights]
    if None in lines or any(None in row for row in columns):
        return None
    return columns, lines  # type: ignore[return-value]


def llamas(path: Path, plain: Path) -> None:
    """Write a label file again as simple as can be: UTF-8, whole numbers as they are read, null for what is none."""

    def simple(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: each if key == "lane_id" else simple(each) for key, each in value.items()}
        return [simple(each) for each in value] if isinstance(value, list) else number(value)

    plain.write_text(json.dumps(simple(parsed(text_of(path)))))
