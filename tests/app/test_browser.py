"""The app in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import CHROMIUM, PICTURE, chromium, serving
from sfcore.resources import sample_data

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium"),
]
SECONDS = 1000  # Playwright counts milliseconds
SCORE = "[data-testid=stMetric]:has-text('Lane Distortion Score') [data-testid=stMetricValue]"

Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory, _quantized: Path) -> Iterator[Open]:
    """Open a page of the app, with one finished run at hand."""
    runs = tmp_path_factory.mktemp("browser-runs")
    shutil.copytree(_quantized, runs / "first")
    with serving(runs) as url, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})

        def open_page(path: str) -> Page:
            page = context.new_page()
            page.set_default_timeout(40 * SECONDS)
            page.goto(f"{url}/{path}")
            page.wait_for_selector("h1, h3")
            return page

        yield open_page


def test_first_visit_shows_a_road(visit: Open) -> None:
    page = visit("")
    page.wait_for_function(f"() => document.querySelector('{PICTURE}')?.naturalWidth > 600")
    expect(page.locator("h1")).to_have_text("Overview")
    assert page.locator("[data-testid=stException]").count() == 0


def test_the_noise_slider_moves_lanes_and_address(visit: Open) -> None:
    page = visit("heads")
    before = page.locator(SCORE).inner_text()
    picture = page.locator(PICTURE).first.get_attribute("src")
    page.get_by_role("slider").first.focus()
    page.keyboard.press("End")
    expect(page.locator(SCORE)).not_to_have_text(before, timeout=20 * SECONDS)
    expect(page.locator(PICTURE).first).not_to_have_attribute("src", picture or "")
    page.wait_for_url("**level=100*")


def test_the_comparison_slider_is_dragged_and_driven_by_keys(visit: Open) -> None:
    page = visit("compare?frames=2")
    figure = page.locator(".sf-compare")
    page.locator(".js-plotly-plot").first.wait_for()  # what is above has its height
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, y, steps=5)
    page.mouse.up()
    place = "(f) => parseFloat(f.style.getPropertyValue('--at'))"
    dragged = figure.evaluate(place)
    assert 15 < dragged < 25
    figure.locator("input").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert figure.evaluate(place) == dragged + 2


def test_two_pictures_blink_until_they_are_paused(visit: Open) -> None:
    page = visit("compare?frames=2&view=Blink")
    label, button = page.locator(".sf-blink .label"), page.locator(".sf-blink button")
    button.wait_for()
    expect(label).to_have_text("tuned", timeout=5 * SECONDS)
    expect(label).to_have_text("calibrated", timeout=5 * SECONDS)
    button.click()
    shown = label.inner_text()
    page.wait_for_timeout(1.5 * SECONDS)
    assert label.inner_text() == shown and "Blink" in button.inner_text()
    for key, name in (("ArrowRight", "tuned"), ("ArrowLeft", "calibrated")):
        page.keyboard.press(key)
        expect(label).to_have_text(name)


def test_nothing_blinks_for_those_who_want_less_motion(visit: Open) -> None:
    page = visit("compare?frames=2&view=Blink")
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    page.locator(".sf-blink button").wait_for()
    expect(page.locator(".sf-blink button")).to_contain_text("▶")
    page.wait_for_timeout(1.5 * SECONDS)
    assert page.locator(".sf-blink .label").inner_text() == "calibrated"


def test_a_clip_plays(visit: Open) -> None:
    page = visit("compare?frames=2&view=Clip&clip=6")
    video = page.locator("video")
    video.wait_for()
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert abs(video.evaluate("(v) => v.duration") - 0.6) < 0.15
    video.evaluate("(v) => v.play()")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")


def test_another_frame_is_chosen_from_the_strip(visit: Open) -> None:
    page = visit("compare?frames=3")
    second = page.locator(".sf-strip button").nth(1)
    name = second.get_attribute("data-name") or ""
    second.click()
    expect(page.get_by_text(name, exact=True).last).to_be_visible()
    page.wait_for_url(f"**at={name}*")


def test_a_picked_pixel_puts_noise_there(visit: Open) -> None:
    page = visit("pixels?head=kpts&p_level=100+%25")
    picker = page.locator(".sf-picker")
    picker.wait_for()
    picker.click(position={"x": 200, "y": 170})
    expect(page.get_by_text("1 cell, at", exact=False)).to_be_visible()
    expect(page.locator("[data-testid=stMetric]:has-text('Misalignment')")).to_be_visible()


def test_a_brushed_rectangle_takes_many_cells(visit: Open) -> None:
    page = visit("pixels?head=kpts")
    picker = page.locator(".sf-picker")
    picker.wait_for()
    box = picker.bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.95 * box["height"], steps=6)
    page.mouse.up()
    expect(page.get_by_text("% across", exact=False)).to_be_visible()


def test_uploads_are_shown_and_broken_ones_named(visit: Open, tmp_path: Path) -> None:
    good, broken = tmp_path / "road.jpg", tmp_path / "broken.png"
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", good)
    broken.write_bytes(b"no image")
    page = visit("?images=Upload")
    expect(page.get_by_text("no images yet").first).to_be_visible()
    page.locator("[data-testid=stSidebar] input[type=file]").last.set_input_files([good, broken])
    expect(page.locator("[data-testid=stSidebar]").get_by_text("broken.png is no image")).to_be_visible()
    page.wait_for_selector(PICTURE)
    expect(page.locator("h1")).to_have_text("Overview")
