"""Calling commands as a script does."""

from __future__ import annotations

import json
from typing import Any

import pytest

import sfcore.cli


class Command:
    """Calls ``sfcore`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        try:
            code = sfcore.cli.main([str(word) for word in words])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return code, *self.capsys.readouterr()

    def json(self, *words: object) -> Any:
        code, out, err = self(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def error(self, *words: object) -> str:
        """The one line that a refused command prints."""
        code, out, err = self(*words)
        lines = [line for line in err.splitlines() if "error:" in line]
        assert (code, out, len(lines)) == (1, "", 1), err
        assert lines[0].startswith("sfcore: error: ") and "Traceback" not in err
        return lines[0]


@pytest.fixture
def sfcore_(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)
