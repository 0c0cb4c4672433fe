"""The app in a real browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import CHROMIUM, PAGES, PICTURE, chromium, serving
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, list_runs
from tests.app.conftest import BROWSER_PATIENCE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(15 * 60),  # a browser on a busy machine: each wait has a limit of its own
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium"),
]
SECONDS = 1000  # Playwright counts milliseconds
TUNING = {  # a few seconds' work
    "t_bits": "W8A8", "t_method": "Selective Focus", "t_iterations": "2", "t_batch": "1", "t_check_every": "1",
    "t_limit": "4",
}  # fmt: skip
SCORE = "[data-testid=stMetric]:has-text('Lane Distortion Score') [data-testid=stMetricValue]"
SOURCES = "[data-testid=stSidebar] [data-testid=stButtonGroup]"

Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, _quantized: Path) -> Path:
    """The server's folder of runs, with a finished one."""
    folder = tmp_path_factory.mktemp("browser-runs")
    shutil.copytree(_quantized, folder / "first")
    return folder


@pytest.fixture(scope="module")
def visit(runs: Path) -> Iterator[Open]:
    """Open a page of the app as a new visitor."""
    expect.set_options(timeout=BROWSER_PATIENCE * SECONDS)
    with serving(runs) as url, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
        context.set_default_timeout(BROWSER_PATIENCE * SECONDS)

        def open_page(path: str) -> Page:
            page = context.new_page()
            page.goto(f"{url}/{path}")
            page.wait_for_selector("h1, h3")
            return page

        yield open_page
    expect.set_options(timeout=5 * SECONDS)


def finished(runs: Path, count: int) -> list[RunFolder]:
    """All runs, the newest first, once there are so many and all of them are done."""
    end = time.monotonic() + BROWSER_PATIENCE
    while time.monotonic() < end:
        found = list_runs(runs)
        if len(found) == count and not any(run.is_alive() for run in found):
            assert [run.status for run in found] == ["done"] * count, [run.record().get("error") for run in found]
            return found
        time.sleep(0.2)
    raise AssertionError(f"after {BROWSER_PATIENCE} s: {[(run.name, run.status) for run in list_runs(runs)]}")


def test_each_page_comes_without_an_error_and_asks_nothing_of_the_internet(visit: Open) -> None:
    page = visit("")
    home, asked = page.url, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_function(f"() => document.querySelector('{PICTURE}')?.naturalWidth > 600")
    for name in PAGES:
        page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
        if name != "Tour":  # its title is that of the step
            expect(page.locator("[data-testid=stMain] h1")).to_have_text(name)
        expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
        wrong = page.locator("[data-testid=stException], [data-testid=stAlertContentError]")
        assert wrong.all_inner_texts() == [], name
    assert len(asked) > 10
    assert [address for address in asked if not address.startswith((home, "data:", "blob:"))] == []


def test_the_noise_slider_moves_lanes_and_address(visit: Open) -> None:
    page = visit("heads")
    before = page.locator(SCORE).inner_text()
    picture = page.locator(PICTURE).first.get_attribute("src")
    page.get_by_role("slider").first.focus()
    page.keyboard.press("End")
    expect(page.locator(SCORE)).not_to_have_text(before)
    expect(page.locator(PICTURE).first).not_to_have_attribute("src", picture or "")
    page.wait_for_url("**level=100*")


def test_the_picture_follows_while_the_slider_is_dragged(visit: Open) -> None:
    page = visit("heads?level=0.1+%25")
    score, slider = page.locator(SCORE), page.locator(".sf-level input")
    before = score.inner_text()
    box = slider.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], y, steps=4)
    expect(score).not_to_have_text(before)  # the button is still down
    page.mouse.move(box["x"] + box["width"] - 2, y, steps=2)
    page.mouse.up()
    page.wait_for_url("**level=100*")


def test_draws_play_and_are_stepped_through_by_keys(visit: Open) -> None:
    page = visit("heads?draws=16+draws&seed=3&level=20+%25")
    label, play = page.locator(".sf-player .label"), page.locator(".sf-player .play")
    expect(label).to_contain_text("seed 4")
    play.click()
    page.keyboard.press("Home")
    expect(label).to_contain_text("seed 3: distortion")
    page.keyboard.press("ArrowRight")
    expect(label).to_contain_text("seed 4: distortion")
    page.locator(".sf-player .bars button").last.click()
    expect(label).to_contain_text("seed 18: distortion")
    page.wait_for_timeout(0.6 * SECONDS)
    expect(label).to_contain_text("seed 18: distortion")


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
    page.wait_for_url(f"**divider={dragged + 2:g}*")
    page.reload()
    expect(figure.locator("input")).to_have_value(f"{dragged + 2:g}")


def test_two_pictures_blink_until_they_are_paused(visit: Open) -> None:
    page = visit("compare?frames=2&view=Blink")
    label, button = page.locator(".sf-player .label"), page.locator(".sf-player .play")
    button.wait_for()
    expect(label).to_have_text("tuned")
    expect(label).to_have_text("calibrated")
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
    page.locator(".sf-player .play").wait_for()
    expect(page.locator(".sf-player .play")).to_contain_text("▶")
    page.wait_for_timeout(1.5 * SECONDS)
    assert page.locator(".sf-player .label").inner_text() == "calibrated"


def test_a_clip_plays(visit: Open) -> None:
    page = visit("compare?frames=2&view=Clip&clip=6")
    video = page.locator("video")
    video.wait_for()
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    assert abs(video.evaluate("(v) => v.duration") - 0.6) < 0.15
    video.evaluate("(v) => v.play()")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")


def test_a_run_gives_way_to_what_is_quantized_here_and_bits_are_typed(visit: Open) -> None:
    page = visit("compare?frames=2")
    main = page.locator("[data-testid=stMain]")
    left, right = (main.get_by_label(side, exact=True) for side in ("Left", "Right"))
    expect(right).to_have_value("tuned")
    main.get_by_label("Run", exact=True).click()
    page.get_by_role("option", name="quantize here").click()
    expect(right).to_have_value("calibrated")
    expect(left).to_have_value("full precision")
    bits = main.get_by_label("Bits", exact=True)
    for typed, name in (("W6A6", "W6A6"), (",heads=16", "W6A6,heads=16"), ("W4A4", "W4A4"), ("W4A4-affine",) * 2):
        bits.click()
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        expect(bits).to_have_value(name)
        expect(main.get_by_text("calibrated just now")).to_contain_text(f"in {name}, calibrated just now")
    page.wait_for_url("**bits=W4A4-affine*")
    page.reload()
    expect(bits).to_have_value("W4A4-affine")


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


def test_a_pixel_is_picked_and_let_go_by_keys(visit: Open) -> None:
    page = visit("pixels?head=kpts")
    picker = page.locator(".sf-picker")
    picker.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 cell, at 51 %, 70 %", exact=False)).to_be_visible()
    page.wait_for_url("**box=0.5125*")
    page.keyboard.press("Escape")
    expect(page.get_by_text("click or brush the map", exact=False)).to_be_visible()
    assert "box" not in page.url


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


def test_two_visitors_do_not_see_each_others_noise_and_uploads(visit: Open, tmp_path: Path) -> None:
    mine, theirs = visit("heads?level=1.0+%25"), visit("heads?level=1.0+%25")
    before = theirs.locator(SCORE).inner_text()
    mine.bring_to_front()
    mine.locator(".sf-level input").focus()
    mine.keyboard.press("End")
    expect(mine.locator(SCORE)).not_to_have_text(before)
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", tmp_path / "secret.jpg")
    for page in (theirs, mine):
        page.bring_to_front()  # a tab behind another is not drawn, and cannot be clicked
        page.locator(SOURCES).get_by_text("Upload", exact=True).click()
        expect(page.get_by_text("no images yet").first).to_be_visible()
    mine.locator("[data-testid=stSidebar] input[type=file]").last.set_input_files(tmp_path / "secret.jpg")
    expect(mine.locator(SCORE)).to_be_visible()
    theirs.bring_to_front()
    theirs.reload()
    expect(theirs.get_by_text("no images yet").first).to_be_visible()
    assert theirs.get_by_text("secret").count() == 0
    theirs.locator(SOURCES).get_by_text("Samples", exact=True).click()
    expect(theirs.locator(SCORE)).to_have_text(before)


@pytest.mark.slow
def test_a_run_outlives_its_tab_is_searched_around_and_mapped(visit: Open, runs: Path) -> None:
    page = visit(f"tune?{urlencode(TUNING)}")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_text("Started", exact=False).first).to_be_visible()
    page.close()
    tuned = finished(runs, 2)[0]
    _see_it_done(visit(f"tune?run={tuned.name}"))
    _search(visit("runs"))
    swept = finished(runs, 4)[:2]
    assert {run.spec.options["lam"] for run in swept} == {1.0, 5.0}
    page = visit("runs")
    _open_from_map(page, {run.name for run in swept} | {tuned.name})


def _see_it_done(page: Page) -> None:
    expect(page.get_by_text("Done", exact=True).first).to_be_visible()
    expect(page.locator("[data-testid=stMetric]:has-text('F1, tuned')")).to_be_visible()
    page.close()


def _search(page: Page) -> None:
    """Two runs after the newest one, which differ in λ, from the Runs page by way of the Tune page."""
    table = page.get_by_test_id("stDataFrame").first
    table.locator("canvas").first.wait_for()
    table.click(position={"x": 16, "y": 52})  # the box at the left edge of the first row
    page.get_by_role("button", name="Search around").click()
    expect(page.locator("h1")).to_have_text("Tune")
    for label, values in (("k", ""), ("λ", "1,5")):
        field = page.get_by_role("textbox", name=label, exact=True)
        field.fill(values)
        field.press("Enter")
    expect(page.get_by_text("2 trials over lam=1,5.")).to_be_visible()
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_text("of 2 trials", exact=False).first).to_be_visible()
    expect(page.get_by_text("2 done of 2 trials").first).to_be_visible()
    lines = page.locator(".js-plotly-plot .scatterlayer .trace")
    expect(lines.first).to_be_visible()
    page.close()


def _open_from_map(page: Page, names: set[str]) -> None:
    box = page.locator(".js-plotly-plot .hm image")
    box.wait_for()
    box.scroll_into_view_if_needed()
    place = box.bounding_box()
    assert place
    page.mouse.click(place["x"] + place["width"] / 6, place["y"] + place["height"] / 2)  # the first of three
    expect(page.locator("h1")).to_have_text("Compare")
    shown = page.locator("[data-testid=stMain] [data-testid=stSelectbox] input").first
    expect(shown).not_to_have_value("")
    assert shown.input_value() in names


def test_a_report_opens_offline(visit: Open, tmp_path: Path) -> None:
    page, file = visit("compare?frames=2&run=first"), tmp_path / "report.html"
    page.get_by_role("button", name="Report").click()
    page.get_by_role("button", name="Make the report").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the report").click()
    download.value.save_as(file)
    assert page.context.browser
    offline = page.context.browser.new_context(offline=True).new_page()
    offline.goto(file.as_uri())
    offline.locator(".js-plotly-plot").last.wait_for(timeout=BROWSER_PATIENCE * SECONDS)
    assert offline.locator(".js-plotly-plot").count() > 3
    assert offline.locator(".slider img.right").first.evaluate("(i) => i.naturalWidth") > 300
    offline.context.close()
