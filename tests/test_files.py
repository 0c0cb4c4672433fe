"""Names that can be shown, files that are written whole, and texts as programs of any system write them."""

from __future__ import annotations

import codecs
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfcore.errors import InputError
from sfcore.files import (
    decoded,
    explained,
    parse_json,
    parse_line,
    plain,
    read_bytes,
    read_text,
    text_lines,
    write_atomic,
)
from sfcore.names import LONGEST, left_behind, printable, shortened

GBK = os.fsdecode("道路".encode("gbk"))  # of its four bytes the last two happen to be UTF-8 for "·"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("道路 1.jpg", "道路 1.jpg"),
        ("a\nb\tc\r.jpg", r"a\nb\tc\r.jpg"),
        (f"{GBK}.jpg", r"\xb5\xc0·.jpg"),
        ("<b>&amp;.jpg", "<b>&amp;.jpg"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\ud83d.jpg", r"\ud83d.jpg"),
    ],
)
def test_names_are_shown_on_one_line_in_characters_that_exist(name: str, shown: str) -> None:
    assert printable(Path(name)) == printable(name) == shown


@given(st.text(st.characters()))
def test_whatever_is_printable_is_one_line_that_can_be_encoded(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1 and printable(shown) == shown


def test_long_names_are_shortened_to_what_a_disk_takes_and_stay_apart(tmp_path: Path) -> None:
    assert shortened("a" * LONGEST) == "a" * LONGEST
    names = {shortened(f"{'夜' * 80}{end}{more}") for end in "ab" for more in ("x" * 20, GBK * 5)}
    assert len(names) == 4
    for name in names:
        assert len(os.fsencode(name)) <= LONGEST
        (tmp_path / name).write_bytes(b"")


@pytest.mark.parametrize("name", ["夜" * 85, "x" * 255, GBK * 63])
def test_a_name_that_the_disk_takes_is_written_whole(tmp_path: Path, name: str) -> None:
    write_atomic(tmp_path / name, b"content")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"content"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "nothing can be written on this disk"),
        (errno.ENAMETOOLONG, "shorter name"),
        (errno.ENOENT, "folder exists"),
        (errno.ENOTDIR, "is a file"),
        (errno.EISDIR, "a folder has this name"),
        (errno.EMFILE, "close other programs"),
        (errno.ETIMEDOUT, "see to the cause"),
    ],
)
def test_advice_fits_what_the_system_says(number: int, said: str) -> None:
    with (
        pytest.raises(InputError, match=rf"cannot write a/b \({os.strerror(number)}\): .*{said}"),
        explained(Path("a/b")),
    ):
        raise OSError(number, os.strerror(number))


def test_what_is_in_the_way_of_a_file_is_told_from_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path, said in (
        (tmp_path / "file" / "a", "a part of the path is a file"),
        (tmp_path / "folder", "a folder has this name"),
        (tmp_path / "none" / "a", "that its folder exists"),
        (tmp_path / ("x" * 256), "a shorter name"),
    ):
        with pytest.raises(InputError, match=said):
            write_atomic(path, b"")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("mark", ["", "utf-8-sig", "utf-16", "utf-32"])
def test_texts_are_read_by_the_mark_in_front(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.txt").write_text("道路 1\n", encoding=mark or "utf-8")
    assert read_text(tmp_path / "a.txt") == "道路 1\n"


@pytest.mark.parametrize(
    "data", [codecs.BOM_UTF16_BE + "a".encode("utf-16-be"), codecs.BOM_UTF32_BE + "a".encode("utf-32-be")]
)
def test_the_other_order_of_bytes_is_read_too(data: bytes) -> None:
    assert decoded(data, Path("a.txt")) == "a"


def test_bytes_that_are_no_text_name_the_file_that_has_them_in_its_name() -> None:
    assert decoded("道路".encode("gbk"), Path("a.txt")) == GBK


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes(4096), r"a\.txt is filled with NUL characters, as after a power cut"),
        (b"a/0.jpg\n" + bytes(9), r"a\.txt holds NUL characters"),
        ("a\n".encode("utf-16-le"), r"a\.txt holds NUL characters.*UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", r"a\.txt is marked as utf-16-le but is not"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", r"a\.txt is marked as utf-16-le but is not"),
    ],
)
def test_what_is_certainly_no_text_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        decoded(data, Path("a.txt"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\rb\r", ["a", "b"]),
        ("a\r\rb", ["a", "", "b"]),
        ("a\rb\nc\n", ["a\rb", "c"]),
        ("a\x0b\x85\u2028b\n\n", ["a\x0b\x85\u2028b", ""]),
    ],
)
def test_lines_end_as_on_unix_windows_and_old_macs(text: str, lines: list[str]) -> None:
    assert text_lines(text) == lines


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.lines.txt")
    with pytest.raises(InputError, match=r"a\.lines\.txt is no file but a pipe"):
        read_bytes(tmp_path / "a.lines.txt")
    with pytest.raises(InputError, match=r"there is no label .*b\.json"):
        read_bytes(tmp_path / "b.json", "label")
    with pytest.raises(InputError, match=r"cannot read .*a folder has this name"):
        read_bytes(tmp_path)


def test_json_has_no_nan_and_undefined_numbers_become_null() -> None:
    assert parse_json('{"a": [1, 2.5]}') == {"a": [1, 2.5]}
    assert plain({"a": [1, float("nan")], "b": (float("inf"), "x")}) == {"a": [1, None], "b": [None, "x"]}
    for text in ("[NaN]", "[-Infinity]", "", "[" * 100_000):
        with pytest.raises(ValueError):
            parse_json(text)


@pytest.mark.parametrize(
    "text", ["[NaN]", "[1e999]", '"\\ud800"', "[1,]", "", "[" * 100_000, f'"{GBK}"', '{"a": 1, "a": 2}']
)
def test_a_line_is_read_as_python_reads_it_or_refused_in_its_words(text: str) -> None:
    def read(parse: Callable[[Any], Any], given: str | bytes) -> str:
        try:
            return repr(parse(given))
        except ValueError as error:
            return str(error)

    assert read(parse_line, os.fsencode(text) + b"\n") == read(parse_json, text + "\n")


def test_a_name_that_is_no_text_survives_json() -> None:
    assert os.fsencode(json.loads(json.dumps(GBK))) == "道路".encode("gbk")


def test_an_error_is_one_line_that_can_be_shown_anywhere() -> None:
    said = str(InputError(f"there is no image a\n{GBK}.jpg: check the path"))
    assert said == r"there is no image a\n\xb5\xc0·.jpg: check the path"


def test_what_systems_leave_beside_files_is_told_from_them() -> None:
    left = ("._a.jpg", ".DS_Store", "__MACOSX/a/b.json", "a/._b.json")
    assert [name for name in (*left, "a.jpg", "a/b.json", "a._b.jpg") if left_behind(name)] == list(left)
