"""What commands print of odd names, on terminals of any encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sfcore.cli.console import Answer, forgive, note, show, table
from tests.cli.conftest import Command

GBK = "道路.jpg".encode("gbk")
SHOWN = r"\xb5\xc0·.jpg"  # the last two bytes of the four happen to be UTF-8 for "·"


def terminal(encoding: str) -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, "strict")
    forgive(stream)
    return stream


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_any_text_is_printed_on_any_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr("sys.stdout", terminal(encoding))
    monkeypatch.setattr("sys.stderr", terminal(encoding))
    answer = Answer(
        {"file": os.fsdecode(GBK)}, table([{"file": os.fsdecode(GBK), "f1": None}, {"file": "é", "f1": 1.0}])
    )
    for as_json in (False, True):
        show(answer, as_json)
    note(f"{os.fsdecode(GBK)} is damaged\nin line 1")
    sys.stdout.seek(0)
    sys.stderr.seek(0)
    printed = sys.stdout.buffer.read().splitlines()
    assert json.loads(printed[-1])["file"] == os.fsdecode(GBK)  # JSON keeps the very name
    assert len(printed) == 4 and printed[1].startswith(rb"\xb5\xc0")
    said = sys.stderr.buffer.read()
    assert (
        said.startswith(rb"sfcore: \xb5\xc0") and said.endswith(b"is damaged\\nin line 1\n") and said.count(b"\n") == 1
    )


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict", "utf-8"])
def test_a_command_survives_names_that_no_terminal_can_show(tmp_path: Path, encoding: str) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/" + GBK))
    words = ["evaluate", "culane", "--predictions", folder, "--annotations", tmp_path, "--list", tmp_path / "l.txt"]
    (tmp_path / "l.txt").write_text("a.jpg\n")
    found = subprocess.run(
        [sys.executable, "-m", "sfcore", *words], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert (found.returncode, found.stdout) == (1, b"")
    assert rb"\xb5\xc0" in found.stderr and found.stderr.count(b"\n") == 1 and b"Traceback" not in found.stderr


def test_images_are_named_on_one_line_and_exactly_in_json(sfcore_: Command, tmp_path: Path) -> None:
    names = [os.fsdecode(GBK), "a\nb\t<i>.jpg", f"{'夜' * 80}.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(cv2.imencode(".jpg", np.full((36, 64, 3), 90, np.uint8))[1].tobytes())
    out = tmp_path / "out"
    code, said, _ = sfcore_("detect", "laneatt-tiny", tmp_path, "--out", out)
    assert code == 0 and len(said.splitlines()) == 4
    assert f"{tmp_path}/a\\nb\\t<i>.jpg: " in said and f"{tmp_path}/{SHOWN}: " in said
    held = json.loads((out / "lanes.json").read_text())
    assert [image["file"] for image in held["images"]] == sorted(str(tmp_path / name) for name in names)
    assert sfcore_.json("detect", "laneatt-tiny", tmp_path) == held
    pictures = sorted(out.glob("*.png"))
    assert len(pictures) == 3 and all(cv2.imdecode(np.fromfile(p, np.uint8), 1) is not None for p in pictures)
    assert pictures[1].name.startswith("00001-夜夜") and max(len(os.fsencode(p.name)) for p in pictures) <= 255


def test_what_the_system_refuses_is_one_line_with_advice(sfcore_: Command, tmp_path: Path) -> None:
    said = sfcore_.error("detect", "laneatt-tiny", tmp_path / ("x" * 300))
    assert "(File name too long): choose a shorter name" in said
