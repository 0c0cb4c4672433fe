"""The list of layers: what is selected, in the link, by pointer and by keys."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect
from streamlit.testing.v1 import AppTest

from app.widgets.layer_list import as_selection, as_text
from benchmarks.browser import CHROMIUM, chromium
from tests.app.conftest import PATIENCE, ROOT

SECONDS = 1000  # Playwright counts milliseconds
LINE = 22  # pixels of a row
SCRIPT = """
import streamlit as st
from app.widgets.layer_list import Row, layer_list

runs = st.session_state["runs"] = st.session_state.get("runs", 0) + 1
bits = st.number_input("Bits", 2, 16, 4, key="bits", bind="query-params")
step = st.number_input("Every", 1, 9, 1, key="every", bind="query-params")
rows = [
    Row(
        place, f"block{place // 10}.layer{place}", f"block{place // 10}", 0 if place % 10 == 9 else bits, 8,
        None if place % 10 == 9 else 0.01 * place, float("nan") if place == 3 else 0.5,
        head=place > 49, pinned=place == 1,
    )
    for place in range(60)
]
if st.button("Forget"):
    st.query_params.pop("layers")
    st.session_state["layers"] = None
st.text(f"Selected: {layer_list(rows[::step], 'layers', 240)}")
st.text(f"Runs: {runs}")
"""

Open = Callable[[str], Page]


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("3,7-12", [3, 7, 8, 9, 10, 11, 12]),
        ("0", [0]),
        (" 4 , 2 ", [2, 4]),
        ("5,5,4-6", [4, 5, 6]),
        ("18-99999999", [18, 19]),
        ("20", []),
        ("9-7", []),
        ("-3", []),
        ("1-2-3,1", [1]),
        ("all,1.5,0x3,+2,²,٣,6", [6]),
        ("1" * 5000, []),
        (",,-,", []),
        ("", []),
        (None, []),
    ],
)
def test_a_link_selects_what_it_names_of_twenty_and_nothing_else(text: str | None, indices: list[int]) -> None:
    assert as_selection(text, 20) == indices


@pytest.mark.parametrize(
    ("indices", "text"), [([], ""), ([4], "4"), ([1, 2], "1-2"), ([9, 7, 3, 8, 9], "3,7-9"), ([0, 2, 4], "0,2,4")]
)
def test_neighbours_are_written_as_ranges(indices: list[int], text: str) -> None:
    assert as_text(indices) == text
    assert as_selection(text, 10) == sorted(set(indices))


def test_of_no_layers_none_is_selected() -> None:
    assert as_selection("0-5", 0) == []


def test_what_is_selected_but_not_shown_is_kept_in_the_link_and_out_of_the_answer() -> None:
    app = AppTest.from_string(SCRIPT, default_timeout=PATIENCE)
    app.query_params["layers"] = "3-5,59,60"
    app.run()
    assert not app.exception and app.text[0].value == "Selected: [3, 4, 5, 59]"
    app.number_input(key="every").set_value(2).run()
    assert app.text[0].value == "Selected: [4]" and app.query_params["layers"] == "3-5,59,60"


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Open a page that has little but the list, as a new visitor."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: install the package chromium")
    script = tmp_path_factory.mktemp("layers") / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT / "app", env=environment, stdout=quiet, stderr=quiet)
    expect.set_options(timeout=PATIENCE * SECONDS)
    try:
        until_healthy(f"http://127.0.0.1:{port}")
        with chromium() as opened:

            def open_page(query: str = "") -> Page:
                page = opened.new_page(viewport={"width": 1280, "height": 800})
                page.goto(f"http://127.0.0.1:{port}/?{query}")
                expect(row(page, 0)).to_be_visible()
                return page

            yield open_page
    finally:
        expect.set_options(timeout=5 * SECONDS)
        server.terminate()
        server.wait(60)


def until_healthy(url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no answer at {url} within {PATIENCE} s")


def row(page: Page, place: int) -> Locator:
    return page.locator(".sf-layers .row").nth(place)


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def answers(page: Page, *indices: int) -> None:
    """Python is told these, and they are the ones that look selected."""
    expect(page.get_by_text("Selected:")).to_have_text(f"Selected: {list(indices)}")
    expect(page.locator(".sf-layers [aria-selected=true]")).to_have_count(len(indices))
    for index in indices:
        expect(page.get_by_role("option", name=re.compile(rf"layer{index};"))).to_have_attribute(
            "aria-selected", "true"
        )


def runs(page: Page) -> int:
    return int(page.get_by_text("Runs:").inner_text().split()[1])


def scrolled(page: Page) -> float:
    return float(page.locator(".sf-layers").evaluate("(box) => box.scrollTop"))


@pytest.mark.browser
def test_clicks_select_extend_and_toggle(visit: Open) -> None:
    page = visit("")
    answers(page)
    row(page, 2).click()
    answers(page, 2)
    row(page, 5).click(modifiers=["Shift"])
    answers(page, 2, 3, 4, 5)
    page.wait_for_url("**layers=2-5*")
    row(page, 3).click(modifiers=["Control"])
    answers(page, 2, 4, 5)
    row(page, 0).click(modifiers=["ControlOrMeta"])
    answers(page, 0, 2, 4, 5)
    page.reload()
    answers(page, 0, 2, 4, 5)
    row(page, 4).click()
    answers(page, 4)


@pytest.mark.browser
def test_a_drag_brushes_rows_either_way_and_is_told_once(visit: Open) -> None:
    page = visit("")
    before = runs(page)
    page.mouse.move(*middle(row(page, 6)))
    page.mouse.down()
    page.mouse.move(*middle(row(page, 7)))
    page.mouse.move(*middle(row(page, 3)), steps=8)
    expect(page.locator(".sf-layers [aria-selected=true]")).to_have_count(4)
    expect(page.get_by_text("Selected:")).to_have_text("Selected: []")
    page.mouse.up()
    answers(page, 3, 4, 5, 6)
    page.wait_for_timeout(0.3 * SECONDS)
    assert runs(page) == before + 1


@pytest.mark.browser
def test_a_drag_beyond_the_box_scrolls_it(visit: Open) -> None:
    page = visit("")
    x, y = middle(row(page, 0))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 300, steps=3)
    expect(row(page, 25)).to_have_attribute("aria-selected", "true")
    page.mouse.up()
    expect(page.get_by_text("Selected:")).to_contain_text("[0, 1, 2")
    assert scrolled(page) > 12 * LINE


@pytest.mark.browser
def test_a_heading_stands_for_its_rows(visit: Open) -> None:
    page = visit("every=2")
    heading = page.locator(".sf-layers .block").first
    expect(heading).to_have_text(re.compile("block0"))
    heading.click()
    answers(page, 0, 2, 4, 6, 8)
    page.keyboard.press("Escape")
    answers(page)
    row(page, 1).click()
    heading.click(modifiers=["Control"])
    answers(page, 0, 2, 4, 6, 8)
    heading.click(modifiers=["Control"])
    answers(page)


@pytest.mark.browser
def test_keys_move_extend_toggle_and_clear(visit: Open) -> None:
    page = visit("")
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowDown")
    answers(page, 0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    answers(page, 1, 2, 3)
    page.keyboard.press("Shift+ArrowUp")
    answers(page, 1, 2)
    for key in ("Control+ArrowDown", "Control+ArrowDown", "Space"):
        page.keyboard.press(key)
    answers(page, 1, 2, 4)
    page.keyboard.press("End")
    answers(page, 59)
    expect(row(page, 59)).to_be_in_viewport()
    expect(page.get_by_role("listbox")).to_have_attribute("aria-activedescendant", "row-59")
    page.keyboard.press("Control+a")
    answers(page, *range(60))
    page.wait_for_url("**layers=0-59*")
    page.keyboard.press("Escape")
    answers(page)
    assert "layers" not in page.url


@pytest.mark.browser
def test_a_key_held_down_is_told_once(visit: Open) -> None:
    page = visit("")
    page.get_by_role("listbox").focus()
    before = runs(page)
    for _ in range(6):
        page.keyboard.down("ArrowDown")
    page.wait_for_timeout(0.3 * SECONDS)
    assert runs(page) == before
    page.keyboard.up("ArrowDown")
    answers(page, 5)
    assert runs(page) == before + 1


@pytest.mark.browser
def test_other_bits_leave_place_and_selection(visit: Open) -> None:
    page = visit("layers=31-32")
    page.locator(".sf-layers").evaluate("(box) => { box.scrollTop = 700; box.first = box.querySelector('.row'); }")
    answers(page, 31, 32)
    expect(row(page, 31).locator(".chip")).to_have_text(["W4", "A8"])
    page.get_by_label("Bits", exact=True).fill("6")
    page.keyboard.press("Enter")
    expect(row(page, 31).locator(".chip")).to_have_text(["W6", "A8"])
    expect(row(page, 39).locator(".chip")).to_have_text(["", "A8"])
    answers(page, 31, 32)
    assert scrolled(page) == 700
    assert page.locator(".sf-layers").evaluate("(box) => box.first === box.querySelector('.row')")


@pytest.mark.browser
def test_a_filter_hides_rows_and_their_places_stay(visit: Open) -> None:
    page = visit("layers=4-5")
    page.get_by_label("Every", exact=True).fill("2")
    page.keyboard.press("Enter")
    answers(page, 4)
    row(page, 5).click()
    answers(page, 10)


@pytest.mark.browser
def test_a_late_answer_does_not_undo_what_was_selected_since(visit: Open) -> None:
    page = visit("")
    sockets, held, late = list[WebSocketRoute](), list[str | bytes](), list[bool]()

    def between(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server().on_message(lambda said: held.append(said) if late else socket.send(said))

    def release(count: int) -> None:
        for _ in range(count):
            sockets[-1].send(held.pop(0))

    page.route_web_socket("**/_stcore/stream", between)
    page.reload()
    row(page, 1).click()
    answers(page, 1)
    late.append(True)
    row(page, 3).click(modifiers=["Control"])
    page.wait_for_timeout(1 * SECONDS)
    first = len(held)
    row(page, 5).click(modifiers=["Control"])
    page.wait_for_timeout(1 * SECONDS)
    release(first)
    expect(page.get_by_text("Selected:")).to_have_text("Selected: [1, 3]")
    row(page, 7).click(modifiers=["Control"])
    while held:
        release(1)
    late.clear()
    answers(page, 1, 3, 5, 7)


@pytest.mark.browser
def test_what_the_page_forgot_is_selected_again_by_the_same_click(visit: Open) -> None:
    page = visit("")
    row(page, 2).click()
    answers(page, 2)
    page.get_by_role("button", name="Forget").click()
    answers(page)
    row(page, 2).click()
    answers(page, 2)


@pytest.mark.browser
def test_rows_say_what_they_show(visit: Open) -> None:
    page = visit("")
    options = page.get_by_role("option")
    expect(options.nth(1)).to_have_attribute(
        "aria-label",
        "block0.layer1; weights at 4 bits: distortion 0.01; activations at 8 bits: distortion 0.5; set by hand",
    )
    expect(options.nth(3)).to_have_attribute("aria-label", re.compile("activations at 8 bits: distortion not measured"))
    expect(options.nth(59)).to_have_attribute("aria-label", re.compile("no weights; .*; head$"))
    sides = [row(page, 50).locator(f".{side} i").bounding_box() for side in ("weights", "activations")]
    assert sides[0] and sides[1] and sides[0]["width"] == pytest.approx(sides[1]["width"], abs=1)
