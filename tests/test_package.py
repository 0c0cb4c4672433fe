"""The project as others get it: a wheel, used where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PORT = 8769


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def elsewhere(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, from which Python sees the wheel's content and not the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return tmp_path


def test_the_wheel_brings_app_pages_and_sample_data(installed: Path) -> None:
    bundle = installed / "sfcore" / "_bundle"
    for part in ("app/main.py", "app/.streamlit/config.toml", "pages", "sample_data/weights"):
        assert (bundle / part).exists()
    names = {path.name for path in installed.rglob("*")}
    assert not names & {"__pycache__", ".venv", "tests", ".git", "docs", "site", "mkdocs.yml"}
    assert (
        sum(path.stat().st_size for path in installed.rglob("*")) < 34e6
    )  # scenes, sweeps, weights and the run of the tour


def test_the_wheel_says_that_its_types_may_be_checked(installed: Path) -> None:
    assert (installed / "sfcore" / "py.typed").is_file()


def test_the_wheel_says_under_which_licence_it_may_be_used(installed: Path) -> None:
    (about,) = installed.glob("*.dist-info")
    assert "License-Expression: Apache-2.0" in (about / "METADATA").read_text()
    assert (about / "licenses" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_an_installed_package_finds_what_it_brought(installed: Path, elsewhere: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "sfcore", "detectors", "--json"], capture_output=True, text=True)
    shipped = [entry["weights"] for entry in json.loads(done.stdout) if entry["weights"]]
    assert shipped and all(Path(weights).is_relative_to(installed) for weights in shipped)


def test_an_installed_package_writes_reports(installed: Path, elsewhere: Path) -> None:
    data = installed / "sfcore" / "_bundle" / "sample_data"
    command = ["report", data / "tour", "--images", f"{data / 'scenes'}[:1]", "--out", elsewhere / "report.html"]
    subprocess.run([sys.executable, "-m", "sfcore", *command], check=True, capture_output=True)
    assert "What came out" in (elsewhere / "report.html").read_text()


def test_the_app_starts_from_an_installed_package(elsewhere: Path) -> None:
    command = [sys.executable, "-m", "sfcore", "app", "--port", str(PORT), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            told = json.loads(server.stdout.readline())
            assert told == {"url": f"http://127.0.0.1:{PORT}", "pid": server.pid}
            assert healthy(told["url"])
        finally:
            server.kill()  # a polite signal is lost when it comes while Streamlit still starts
    assert os.listdir(elsewhere) == []


def healthy(url: str) -> bool:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:
                return bool(answer.read() == b"ok")
        except OSError:
            time.sleep(0.25)
    return False
