"""``sfcore app`` for a team: what it refuses before it serves, and what it tells the server."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from sfcore.cli.commands.app import App
from sfcore.errors import InputError

app = importlib.import_module("sfcore.cli.app")  # whose name the package has for something else


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the process would become."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(app.os, "execve", lambda _, command, env: found.update(command=command, env=env))
    return found


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.7", "studio.example.com"])
def test_other_addresses_than_loopback_want_roots(started: dict[str, Any], address: str) -> None:
    with pytest.raises(InputError, match="--root DIR"):
        app.run(App(address=address))
    assert not started


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_alone_on_this_machine_nothing_changes(started: dict[str, Any], address: str) -> None:
    app.run(App(address=address))
    assert "SFCORE_SERVING" not in started["env"] and "--server.enableCORS" not in started["command"]


def test_roots_and_the_base_path_reach_the_server(started: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    app.run(App(address="0.0.0.0", root=[tmp_path / "link"], base_path="/tools/studio/", queued=3))
    assert f'"roots": ["{tmp_path}"], "queued": 3' in started["env"]["SFCORE_SERVING"]
    flags = dict(zip(started["command"][4::2], started["command"][5::2], strict=True))
    assert flags["--server.baseUrlPath"] == "tools/studio" and flags["--server.enableXsrfProtection"] == "true"


def test_what_cannot_be_served_is_refused(
    started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFCORE_RUNS", str(tmp_path / "runs"))
    (tmp_path / "runs" / "x").mkdir(parents=True)
    for wrong in (
        App(root=[tmp_path / "none"]), App(root=[tmp_path / "runs"]), App(root=[tmp_path / "runs" / "x"]),
        App(root=[tmp_path], queued=0), App(base_path="a b"), App(base_path="a/../b"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            app.run(wrong)
    assert not started


def test_a_team_that_is_to_sign_in_and_could_not_is_not_served(
    started: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    (tmp_path / ".streamlit").mkdir()
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.write_text("[auth\n")
    with pytest.raises(InputError, match=r"secrets\.toml is no TOML"):
        app.run(App(root=[tmp_path]))
    secrets.write_text('[auth]\nclient_id = "a"\n')
    monkeypatch.setattr(app, "find_spec", lambda name: None if name == "httpx" else name)
    with pytest.raises(InputError, match=r"pip install 'selective-focus-studio\[team\]'"):
        app.run(App(root=[tmp_path]))
    assert not started
    app.run(App())  # alone on this machine nobody signs in
    assert started
