"""Options of several values, usage errors and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sfcore.cli
from sfcore.cli.console import Answer
from sfcore.cli.several import repeated, valueless
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
    ("words", "expected"),
    [
        ("--set --k 1", "--set"),
        ("--k 1 --set a=1 --other", None),
        ("--k -1 --set=--k", None),
        ("a --k -- 1", "--k"),
        ("a --k", "--k"),
        ("--k 1 -- --set --k", None),
    ],
)  # fmt: skip
def test_a_flag_is_no_value_and_a_negative_number_is(words: str, expected: str | None) -> None:
    assert valueless(words.split(), FLAGS) == expected


@pytest.mark.parametrize(
    "words",
    [
        (), ("nothing",), ("tune",), ("tune", "lstr-tiny", "--limit", "few"), ("evaluate",), ("runs", "list", "--no"),
        ("scenes", "--out", "x", "--size", "640"), ("detectors", "one"), ("scenes", "--out", "--json"),
        ("bench", "--detectors", "--methods", "all", "--out", "x"), ("tune", "x", "--set"),
    ],
)  # fmt: skip
def test_usage_is_told_on_stderr_with_exit_code_2(sfcore_: Command, words: tuple[str, ...]) -> None:
    code, out, err = sfcore_(*words)
    assert code == 2 and "Traceback" not in err
    assert err.startswith("Usage") and not out
    assert sfcore.cli.main([*words]) == 2


def test_values_after_one_flag_reach_the_command(sfcore_: Command) -> None:
    words = ("tune", "lstr-tiny", "--images", "nowhere", "--bits", "W4A4", "--method", "netwise", "--out", "x")
    assert "k = 0" in sfcore_.error(*words, "--set", "lam=3", "k=0")
    assert "λ = 0" in sfcore_.error(*words, "--set", "k=1", "lam=0")


def test_a_bench_gets_what_each_flag_was_given(sfcore_: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("sfcore.cli.bench.run", lambda given: seen.append(given) or Answer({}, ""))
    words = "bench --detectors lstr-tiny ganet-tiny --methods netwise --methods qdrop lsq-plus --out x"
    more = "--k 1 2 --lam -1 --test a=b c --weights lstr-tiny=x.pth::ema --set netwise.batch=2 k=1 --seeds 3"
    assert sfcore_(*words.split(), *more.split())[0] == sfcore_(*words.split())[0] == 0
    assert (seen[0].detectors, seen[0].methods) == (["lstr-tiny", "ganet-tiny"], ["netwise", "qdrop", "lsq-plus"])
    assert (seen[0].k, seen[0].lam, seen[0].test, seen[0].seeds) == ([1, 2], -1.0, ["a=b", "c"], [3])
    assert (seen[0].settings, seen[0].weights) == (["netwise.batch=2", "k=1"], ["lstr-tiny=x.pth::ema"])
    assert (seen[1].bits, seen[1].seeds) == (["W8A8", "W8A4", "W4A4"], [0, 1, 2])
    assert seen[1].test is seen[1].k is seen[1].settings is None


def test_one_value_after_a_flag_leaves_the_next_to_the_arguments(
    sfcore_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr("sfcore.cli.tune.run", lambda given: seen.append(given) or Answer({}, ""))
    words = "tune --bits W4A4 --method best --out x --images a --images b lstr-tiny"
    after = "tune --bits W4A4 --method best --out x --images a --set k=1 batch=2 -- lstr-tiny"
    assert sfcore_(*words.split())[0] == sfcore_(*after.split())[0] == 0
    assert [one.detector for one in seen] == ["lstr-tiny"] * 2
    assert (seen[0].images, seen[1].images, seen[1].settings) == (["a", "b"], ["a"], ["k=1", "batch=2"])


def test_the_version_is_printed_alone(sfcore_: Command) -> None:
    code, out, err = sfcore_("--version")
    assert (code, err) == (0, "") and out.startswith("sfcore ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sfcore tu", "tune"),
        ("sfcore evaluate cur", "curvelanes"),
        ("sfcore bench --bits W8A8 W4A4 --met", "--methods"),
        ("sfcore detect lst", "lstr-tiny"),
        ("sfcore curves lstr-tiny gan", "ganet-tiny"),
        ("sfcore detect lstr-tiny a.jpg --device cu", "cuda"),
    ],
)
def test_shells_can_complete(line: str, expected: str) -> None:
    environment = {"_SFCORE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    command = [sys.executable, "-m", "sfcore"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.stdout.split() == [expected], done.stderr


def test_completion_is_installed_for_a_shell(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for flag in ("--show-completion", "--install-completion"):
        command = [sys.executable, "-m", "sfcore", flag, "bash"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, done.stderr
    assert "complete" in (tmp_path / ".bash_completions" / "sfcore.sh").read_text()
