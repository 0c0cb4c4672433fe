"""What other systems, programs and accidents make of a text file: harmless changes, and damage."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32")
LINE_ENDS = ("\n", "\n", "\r\n", "\r")
ODD_NUMBERS = (
    "1,5",
    "NaN",
    "-Infinity",
    "null",
    "true",
    "1_0",
    "１",
    "1e999",
    '"7"',
    '"x"',
    "+3",
    "1e1",
    "",
    "--2",
    "[1]",
    "{}",
)
LEFT = ("._{}", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._{}", "__MACOSX/{}")


def encoded(text: str, random: Random) -> bytes:
    """A text as some program saves it, which means the same."""
    text = text.replace("\n", random.choice(("\n", " \n", "\t\n")) if random.random() < 0.3 else "\n")
    text = text.replace("\n", random.choice(LINE_ENDS))
    if random.random() < 0.3:
        text = text.rstrip("\r\n")
    encoding = random.choice(ENCODINGS)
    if any("\udc80" <= letter <= "\udcff" for letter in text):
        return os.fsencode(text)  # names of another encoding are bytes that no mark explains
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    return mark + text.encode(encoding)


def hurt(data: bytes, random: Random) -> bytes:
    """A file after an accident, or after a program that writes numbers in its own way."""
    return random.choice(_ACCIDENTS)(data, random)


def leave_behind(file: Path, random: Random) -> None:
    """Put a file of another system beside one."""
    path = file.parent / random.choice(LEFT).format(file.name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(random.choice((b"", b"\0\5\x16\7Mac OS X", b"[x]\nImage=1")))


def replace_by_no_file(path: Path, random: Random) -> None:
    """Leave nothing, a folder, a pipe or a link to nowhere under the file's name."""
    path.unlink()
    random.choice((lambda: None, path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("gone")))()


def _number(data: bytes, random: Random) -> bytes:
    places = [found.span() for found in re.finditer(rb"-?\d+(\.\d+)?", data)]
    if not places:
        return data
    start, end = random.choice(places)
    return data[:start] + random.choice(ODD_NUMBERS).encode() + data[end:]


def _lines(change: Callable[[list[bytes], Random], list[bytes]]) -> Callable[[bytes, Random], bytes]:
    return lambda data, random: b"".join(change(data.splitlines(keepends=True), random))


def _flipped(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + bytes([random.randrange(256)]) + data[place + 1 :]


_ACCIDENTS: tuple[Callable[[bytes, Random], bytes], ...] = (
    lambda data, random: data[: random.randrange(len(data) + 1)],  # cut short
    lambda data, random: bytes(len(data)),  # a power cut
    lambda data, random: data + bytes(random.randrange(1, 9)),
    lambda data, random: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    _number,
    _number,
    _number,
    _flipped,
    _lines(lambda lines, random: random.sample(lines, len(lines))),
    _lines(lambda lines, random: lines + random.choices(lines, k=min(len(lines), 1))),
    _lines(lambda lines, random: random.sample(lines, random.randrange(len(lines) + 1))),
    lambda data, random: data.replace(b"\n", b"\r", 1),
    lambda data, random: data.replace(b" ", b", ", 1 + random.randrange(3)),
    lambda data, random: data.replace(b"/", b"\\"),
    lambda data, random: data.replace(b"[", b"null", 1) if random.random() < 0.5 else data.replace(b"]", b"]]", 1),
    lambda data, random: b"\xff" + data,
    lambda data, random: b"",
)
