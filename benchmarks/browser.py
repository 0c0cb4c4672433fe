"""How fast the app feels, measured in a real browser: ``python -m benchmarks.browser``.

Measures the time from the first request to the first picture, from a step of the noise slider to the new picture on the
screen, alone and with ten sessions that all move theirs (see :mod:`benchmarks.sessions`), and from a click on a page's
name to the whole page. The app runs from this checkout on a free port, as ``sfcore app`` would start it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.sessions import record, visitors
from sfcore.resources import sample_data
from sfcore.runs import RunFolder

ROOT = Path(__file__).resolve().parents[1]
TUNED = sample_data() / "tour"  # a finished run
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
SLIDER = ".sf-level input"
PAGES = ("Overview", "Heads", "Pixels", "Curves", "Layers", "Tune", "Compare", "Deploy", "Runs", "Tour")
ROUNDS = 3  # through all pages, after the first one
READY_SECONDS = 180
REST = 450  # milliseconds between two steps: the ranking that follows the picture, and the person

WHOLE = """(title) => new Promise((done) => {
  const head = () => document.querySelector('[data-testid=stMain] h1')?.innerText;
  const begun = performance.now(), before = head();
  [...document.querySelectorAll('[data-testid=stSidebarNavLink]')].find((l) => l.innerText.endsWith(title)).click();
  const look = () => {
    const whole = document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
      && head() && head() !== before && !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')
      && [...document.querySelectorAll('[data-testid=stMain] img')].every((i) => i.complete);
    if (whole) done(performance.now() - begun); else requestAnimationFrame(look);
  };
  look();
})"""  # from a click on a page's name until everything on that page is there, in milliseconds
FIND = """
  const inside = (e) => (e.shadowRoot ?? e).querySelector('.sf-level input');
  const slider = [...document.querySelectorAll('*')].map(inside).find(Boolean);
"""
TOLD = """
  const begun = performance.now();
  const heard = (event) => {
    if (!event.target.closest?.('[data-testid=stImage]')) return;
    document.removeEventListener('load', heard, true);
    done(performance.now() - begun);
  };
  document.addEventListener('load', heard, true);
"""  # calls done with the milliseconds until the next picture is loaded
STEP = (
    """(by) => new Promise((done) => {"""
    + FIND
    + TOLD
    + """
  slider.value = Number(slider.value) + by;
  slider.dispatchEvent(new Event('input'));
})"""
)  # one step of the slider, and what it takes until the picture that it causes is loaded
CLICK = """(button) => new Promise((done) => {""" + TOLD + """button.click(); })"""  # the same of a click
LAYERS = 12  # whose bits are changed


@contextmanager
def serving(runs: Path | None = None) -> Iterator[str]:
    """The app on a free port, for the length of a block; yields its address once the server answers.

    Args:
        runs: where the app keeps its runs, and its caches in a folder of theirs; the usual places when None.
    """
    port = free_port()
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    places = {"SFCORE_RUNS": str(runs), "SFCORE_CACHE": str(runs / "cache")} if runs else {}
    command = [sys.executable, "-m", "app.serve", "--server.port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path} | places,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until_answered(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_answered(url: str, server: subprocess.Popen[bytes]) -> None:
    """Come back once a server answers. Raises RuntimeError: it ended, or took too long."""
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


def opened(browser: Browser, url: str) -> Page:
    """A session of its own, with a picture on the screen."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(1000 * READY_SECONDS)
    page.goto(url)
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{PICTURE}')].some((i) => i.complete && i.naturalWidth)"
    )
    return page


def seconds_to_first_picture(browser: Browser, url: str) -> float:
    """From the request of a new session to the first road on its screen."""
    start = time.monotonic()
    page = opened(browser, url)
    took = time.monotonic() - start
    page.context.close()
    return took


def slider_moves(page: Page, moves: int) -> list[float]:
    """Milliseconds from each step of the noise slider to the picture that it causes, loaded."""
    took = []
    for move in range(moves):
        took.append(page.evaluate(STEP, 1 if move % 10 < 5 else -1))
        page.wait_for_timeout(REST)
    return took


def moves_among(browser: Browser, url: str, others: int, every: float, moves: int) -> list[float]:
    """:func:`slider_moves` of one browser while other visitors, without one, move their sliders too."""
    with visitors(record(browser, url, SLIDER, STEP), others, every) if others else nullcontext():
        page = opened(browser, url)
        page.locator(SLIDER).wait_for()
        page.wait_for_timeout(2000 * every)
        took = slider_moves(page, moves)
    page.context.close()
    return took


def bit_changes(browser: Browser, url: str) -> list[float]:
    """Milliseconds from a click on other bits of one layer to the picture with them, layer by layer."""
    page, took = opened(browser, url), []
    bits = page.get_by_role("radio", name="6", exact=True)
    for layer in range(1, 1 + LAYERS):
        page.get_by_role("option").nth(layer).click()
        page.wait_for_timeout(4 * REST)
        took.append(page.evaluate(CLICK, bits.last.element_handle()))
        page.wait_for_timeout(4 * REST)
    page.context.close()
    return took


def page_changes(browser: Browser, url: str) -> list[dict[str, float]]:
    """Milliseconds from a click on each page's name to the whole page, round by round, all in one session."""
    page = opened(browser, f"{url}/tour?detector={RunFolder.open(TUNED).spec.detector}")  # has a run to compare
    found: list[dict[str, float]] = []
    for _ in range(1 + ROUNDS):
        found.append({})
        for title in PAGES:
            page.wait_for_timeout(REST)
            found[-1][title] = page.evaluate(WHOLE, title)
    page.context.close()
    return found


def summary(took: Sequence[float]) -> dict[str, int]:
    """Median and 95th percentile, in whole milliseconds."""
    p95 = statistics.quantiles(took, n=20, method="inclusive")[-1]
    return {"median": round(statistics.median(took)), "p95": round(p95), "moves": len(took)}


def measure(url: str, query: str, moves: int, sessions: int, every: float) -> dict[str, Any]:
    """Everything, in the order of a first visit."""
    with chromium() as browser:
        first = [round(seconds_to_first_picture(browser, f"{url}/?{query}"), 2) for _ in range(2)]
        pages, *later = page_changes(browser, url)
        bits = bit_changes(browser, f"{url}/layers?{query}")
        heads = f"{url}/heads?{query}"
        alone = moves_among(browser, heads, 0, 1.0, moves)
        among = moves_among(browser, heads, sessions - 1, every, moves)
    return {
        "first_picture_s": {"first visitor": first[0], "second visitor": first[1]},
        "slider_to_picture_ms": {"alone": summary(alone), f"{sessions} sessions": summary(among)},
        "layer_bits_to_picture_ms": {"one layer": summary(bits)},
        "page_change_ms": {
            name: {"first": round(pages[name]), "then": round(statistics.median(each[name] for each in later))}
            for name in PAGES
        },
    }


def text(found: dict[str, Any]) -> str:
    """The figures, one a line."""
    lines = []
    for what, rows in found.items():
        lines.append(what.replace("_", " "))
        for name, value in rows.items():
            said = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else value
            lines.append(f"    {name}: {said}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=40, help="of the noise slider")
    parser.add_argument("--sessions", type=int, default=10, help="open at once in the last measurement")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two moves of each other session")
    parser.add_argument("--query", default="", help="added to the address, such as detector=lstr-r18s&weights=...")
    parser.add_argument("--out", type=Path, help="write the figures there as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(TUNED, Path(folder) / "tour")
        with serving(Path(folder)) as url:
            found = measure(url, arguments.query, arguments.moves, arguments.sessions, arguments.every)
    print(text(found))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
