"""Options of several values, usage errors, help and completion."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sfcore.cli.several import repeated
from tests.cli.conftest import Command

FLAGS = ("--set", "--k")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--set a=1 b=2 --k 1 2", "--set a=1 --set b=2 --k 1 --k 2"),
        ("x --set a=1 --other b c", "x --set a=1 --other b c"),
        ("--k -1 2e-3 -.5 --set=a=1 b=2", "--k -1 --k 2e-3 --k -.5 --set=a=1 --set b=2"),
        ("--set a=-1 --set b", "--set a=-1 --set b"),
        ("--k 1 -- 2 --set", "--k 1 -- 2 --set"),
        ("--set - a", "--set - --set a"),
    ],
)  # fmt: skip
def test_each_value_has_its_flag(words: str, expected: str) -> None:
    assert repeated(words.split(), FLAGS) == expected.split()


@pytest.mark.parametrize(
    "words",
    [
        (), ("nothing",), ("tune",), ("tune", "lstr-tiny", "--limit", "few"), ("evaluate",), ("runs", "list", "--no"),
        ("scenes", "--out", "x", "--size", "640"), ("detectors", "one"),
    ],
)  # fmt: skip
def test_usage_is_told_on_stderr_with_exit_code_2(sfcore_: Command, words: tuple[str, ...]) -> None:
    code, out, err = sfcore_(*words)
    assert code == 2 and "Traceback" not in err
    assert "Usage" in out + err and (words == () or words == ("evaluate",) or not out)


def test_values_after_one_flag_reach_the_command(sfcore_: Command) -> None:
    words = ("tune", "lstr-tiny", "--images", "nowhere", "--bits", "W4A4", "--method", "netwise", "--out", "x")
    assert "k = 0" in sfcore_.error(*words, "--set", "lam=3", "k=0")
    assert "λ = 0" in sfcore_.error(*words, "--set", "k=1", "lam=0")


def test_the_version_is_printed_alone(sfcore_: Command) -> None:
    code, out, err = sfcore_("--version")
    assert (code, err) == (0, "") and out.startswith("sfcore ")


def test_shells_can_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"_SFCORE_COMPLETE": "complete_bash", "COMP_WORDS": "sfcore tu", "COMP_CWORD": "1", "PATH": ""}
    command = [sys.executable, "-c", "import sys; from sfcore.cli import main; sys.exit(main([]))"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["tune"], done.stderr
