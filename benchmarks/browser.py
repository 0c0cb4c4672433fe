"""How fast the app feels, measured in a real browser: ``python -m benchmarks.browser``.

Measures the time from a key press on the noise slider to the new picture on the screen, and from the first
request to the first picture. The app runs from this checkout on a free port, as ``sfcore app`` would start it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURE = "[data-testid=stImage] img"
READY_SECONDS = 60


@contextmanager
def serving(runs: Path | None = None) -> Iterator[str]:
    """The app on a free port, for the length of a block; yields its address once the server answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    environment = {**os.environ, "PYTHONPATH": path} | ({"SFCORE_RUNS": str(runs)} if runs else {})
    command = [sys.executable, "-m", "app.serve", "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_answered(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait_until_answered(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the app did not answer at {url} within {READY_SECONDS} s")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium for the length of a block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def seconds_to_first_picture(page: Page, url: str) -> float:
    """From the request to the first road on the screen."""
    start = time.monotonic()
    page.goto(url)
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{PICTURE}')].some((i) => i.complete && i.naturalWidth)"
    )
    return time.monotonic() - start


def slider_moves(page: Page, url: str, moves: int) -> list[float]:
    """Milliseconds from each key press on the noise slider to the picture that it causes, loaded."""
    page.goto(url)
    page.wait_for_selector(PICTURE)
    page.wait_for_timeout(2500)
    page.evaluate(
        """() => { window.loaded = []; document.addEventListener('load', (e) => {
             if (e.target.closest?.('[data-testid=stImage]')) window.loaded.push(performance.now()); }, true); }"""
    )
    page.get_by_role("slider").first.focus()
    return [_one_move(page, "ArrowRight" if move % 10 < 5 else "ArrowLeft") for move in range(moves)]


def _one_move(page: Page, key: str) -> float:
    before = page.evaluate("() => { window.pressed = performance.now(); return window.loaded.length; }")
    page.keyboard.press(key)
    page.wait_for_function("(n) => window.loaded.length > n", arg=before, polling="raf")
    took = page.evaluate("() => window.loaded.at(-1) - window.pressed")
    page.wait_for_timeout(450)  # the ranking that follows the picture, and the person
    return float(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=40, help="of the noise slider")
    parser.add_argument("--query", default="", help="added to the address, such as detector=lstr-r18s&weights=...")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    arguments = parser.parse_args()
    with serving() as url, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        first = seconds_to_first_picture(page, f"{url}/?{arguments.query}")
        again = seconds_to_first_picture(browser.new_page(), f"{url}/?{arguments.query}")
        moves = slider_moves(page, f"{url}/heads?{arguments.query}", arguments.moves)
    found = {
        "first_picture_s": round(first, 2),
        "second_visitor_first_picture_s": round(again, 2),
        "slider_to_picture_ms": {
            "median": round(statistics.median(moves)),
            "p95": round(statistics.quantiles(moves, n=20)[-1]),
            "moves": len(moves),
        },
    }
    print(json.dumps(found))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
