"""Files: writing them so that a crash or a full disk leaves the old content; reading others'; telling new from old."""

from __future__ import annotations

import codecs
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from sfcore.errors import InputError
from sfcore.names import LONGEST, shortened
from sfcore.roots import readable

# What to do about what the operating system says.
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free space or choose another folder, then run again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "ask its owner for the permission, or choose another folder"),
    errno.EROFS: "nothing can be written on this disk, choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "check the path, and that its folder exists",
    errno.ENOTDIR: "a part of the path is a file, choose another path",
    errno.EISDIR: "a folder has this name, choose or move one of them",
    errno.EEXIST: "a file has this name, choose another folder or move the file",
    errno.ELOOP: "its links lead in a circle, mend them",
    errno.EIO: "the disk or the connection to it fails, copy what is there to another",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close other programs, or allow more open files (ulimit -n)"),
}
Stamp = tuple[int, int]  # see :func:`stamp`
HEAD = 1 << 16  # bytes at the beginning of a file that tell what it is
# How programs mark the encoding of a text at its beginning; the longer ones first, because they begin like others.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def advice(error: OSError) -> str:
    """What the operating system says, and what to do about it: "(No such file or directory): check the path…"."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"({reason}): {_ADVICE.get(error.errno or 0, 'see to the cause or choose another path')}"


def stamp(path: Path) -> Stamp:
    """What tells a file from another that has taken its name: when it was written, in nanoseconds, and its size.

    Raises:
        InputError: there is no such file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read {advice(error)}") from error
    return found.st_mtime_ns, found.st_size


@contextmanager
def explained(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn what the operating system says about ``path`` into one line for people.

    Raises:
        InputError: the disk is full, the folder is read-only or missing, the name too long, and so on.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot {doing} {path} {advice(error)}") from error


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file in one step; after this returns, the content survives a power cut.

    Raises:
        InputError: it cannot be written; the old file is as it was, and nothing is left beside it.
    """
    end = f".{os.getpid()}"
    beside = path.with_name(f".{shortened(path.name, LONGEST - len(end) - 1)}{end}")
    with explained(path):
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise


def clear_away(folder: Path) -> None:
    """Remove a folder with all that is in it, then the one around it where that is empty; what cannot be removed
    stays."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def plain(value: Any) -> Any:
    """A value as JSON can hold it: JSON has no NaN and no infinity, so undefined numbers become null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, content: Any) -> None:
    """:func:`write_atomic` of readable JSON; NaN and infinity are refused, because JSON has none (see :func:`plain`).

    A name that is no text keeps its bytes as ``\\udcXX``, which Python's ``os.fsencode`` turns back.
    """
    write_atomic(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_bytes(path: Path, what: str = "file") -> bytes:
    """What a file holds; a pipe or device of its name, which might never end, is not opened.

    Args:
        what: it is, for messages.

    Raises:
        InputError: there is no such file, or it cannot be read, or not by whoever visits this server.
    """
    readable(path)
    with explained(path, "read"):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path} is no file but a pipe, socket or device: put a {what} in its place")
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"there is no {what} {path}: check the path, or copy it there") from error


def decoded(data: bytes, path: Path) -> str:
    """The text of a list or label file as programs of any system write it: UTF-8, or what the mark in front says.

    Bytes that are no text stay as they are (``surrogateescape``), so that they name the file that has them in its name.

    Args:
        path: of the file, for messages.

    Raises:
        InputError: it holds NUL characters, as after a power cut or in UTF-16 without a mark, or is not what its mark
            says.
    """
    mark, encoding = encoding_of(data)
    try:
        text = data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is marked as {encoding} but is not: save it as UTF-8") from error
    if "\0" in text:
        what = "is filled with NUL characters, as after a power cut" if not text.strip("\0") else "holds NUL characters"
        raise InputError(f"{path} {what}: copy it again, or save it as UTF-8")
    return text


def encoding_of(data: bytes) -> tuple[bytes, str]:
    """The mark in front of a text, and the encoding that it stands for."""
    return next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", "utf-8"))


def read_text(path: Path, what: str = "file") -> str:
    """:func:`decoded` of :func:`read_bytes`; raises as they do."""
    return decoded(read_bytes(path, what), path)


def head_of(path: Path) -> str:
    """The beginning of a text file, as far as it can be told; for a look at what it is."""
    with explained(path, "read"), readable(path).open("rb") as file:
        head = file.read(HEAD)
    mark, encoding = encoding_of(head)
    return head[len(mark) :].decode(encoding, "replace")


def text_lines(text: str) -> list[str]:
    """The lines of a text without their ends: those of Unix, of Windows, or, where there are no others, of old Macs."""
    end = "\n" if "\n" in text else "\r"
    return [line.removesuffix("\r") for line in text.removesuffix(end).split(end)] if text else []


def parse_json(text: str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ValueError: it is no JSON, or too deep; NaN and Infinity, which Python would read, are none.
    """
    try:
        return JSON.decode(text)
    except RecursionError as error:
        raise ValueError("it is too deep") from error


def parse_line(line: bytes) -> Any:
    """:func:`parse_json` of a line of a file, much faster; integers beyond 64 bits become floats."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # Python reads more, such as halves of characters, or says better what is wrong
        return parse_json(line.decode(errors="surrogateescape"))


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


JSON = json.JSONDecoder(parse_constant=_refuse)
