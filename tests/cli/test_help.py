"""What holds of every command: help, ``--json``, and that neither waits for PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from sfcore.cli.commands import app
from tests.cli.conftest import Command

ALL_HELP = """
import sys
from sfcore.cli import main
codes = [main([*words.split(), "--help"]) for words in sys.argv[1:]]
codes += [main([*words.split(), "--nothing"]) for words in sys.argv[1:]]
print(sorted(set(codes)), sorted({"torch", "numpy", "cv2", "streamlit"} & sys.modules.keys()))
"""


def _commands(command: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands below one, each with the words that call it."""
    for name, below in getattr(command, "commands", {}).items():
        yield (*before, name), below
        yield from _commands(below, *before, name)


COMMANDS = dict(_commands(typer.main.get_command(app)))
CARRIED_OUT = {words: command for words, command in COMMANDS.items() if not hasattr(command, "commands")}


def test_every_command_is_there() -> None:
    alone = "detectors, check-detector, detect, curves, layers, tune, scenes, compare, report, bench, app"
    below = "evaluate culane, evaluate curvelanes, evaluate tusimple, evaluate detector, evaluate run"
    runs = "runs list, runs show, runs stop, runs resume"
    assert {tuple(words.split()) for words in f"{alone}, {below}, {runs}".split(", ")} <= set(CARRIED_OUT)


@pytest.mark.parametrize("words", CARRIED_OUT, ids=" ".join)
def test_a_command_says_what_it_does_and_what_each_option_is(words: tuple[str, ...]) -> None:
    command = CARRIED_OUT[words]
    assert command.help and command.help.endswith(".")
    assert not [param.name for param in command.params if not param.help]
    assert any("--json" in param.opts for param in command.params)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_the_answer(sfcore_: Command, flag: str) -> None:
    for words in ((), ("tune",), ("evaluate",), ("evaluate", "run")):
        code, out, err = sfcore_(*words, flag)
        assert (code, err) == (0, "") and "Usage" in out


def test_help_and_wrong_usage_do_not_wait_for_pytorch() -> None:
    command = [sys.executable, "-c", ALL_HELP, "", *map(" ".join, COMMANDS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[0, 2] []", done.stderr
