"""A team in real browsers: signed in by OpenID Connect, under a path, behind nginx where there is one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.browser import CHROMIUM, PAGES, PICTURE, TUNED, chromium
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from tests.app.conftest import BROWSER_PATIENCE
from tests.app.oidc_provider import CLIENT, Provider, provider
from tests.app.team_server import team_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(15 * 60),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium"),
]
SECONDS = 1000  # Playwright counts milliseconds
SIDEBAR = "[data-testid=stSidebar]"
WRONG = "[data-testid=stException], [data-testid=stAlertContentError]"

Open = Callable[[str, str], Page]


@pytest.fixture(scope="module")
def openid() -> Iterator[Provider]:
    with provider() as server:
        yield server


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, openid: Provider) -> Path:
    """The server's folder, with a stopped run of Ada's and a scene in its only root."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "data").mkdir()
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", folder / "data" / "a.jpg")
    shutil.copytree(TUNED, folder / "runs" / "hers")
    RunFolder.open(folder / "runs" / "hers").update(
        owner={"id": f"{openid.url} ada", "name": "ada@example.com"}, status="stopped"
    )
    return folder


@pytest.fixture(scope="module")
def come(place: Path, openid: Provider) -> Iterator[Open]:
    """Open a page as somebody who has a browser of their own: ``come("ada", "heads")`` shows the way in."""
    expect.set_options(timeout=BROWSER_PATIENCE * SECONDS)
    with team_server(place, openid) as url, chromium() as browser:

        def open_page(who: str, path: str) -> Page:
            context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
            context.set_default_timeout(BROWSER_PATIENCE * SECONDS)
            page = context.new_page()
            page.goto(f"{url}/{path}")
            openid.at_the_door = who
            return page

        yield open_page
    expect.set_options(timeout=5 * SECONDS)


def sign_in(page: Page) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()


def test_somebody_signs_in_sees_their_name_and_signs_out(come: Open, place: Path) -> None:
    page = come("ada", "")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.locator(PICTURE).count() == 0 and page.get_by_text("Detector", exact=True).count() == 0
    sign_in(page)
    expect(page.locator(SIDEBAR)).to_contain_text("You are ada@example.com.")
    page.wait_for_function(f"() => document.querySelector('{PICTURE}')?.naturalWidth > 600")
    lines = [json.loads(line) for line in (place / "runs" / ".activity.jsonl").read_text().splitlines()]
    assert lines[-1]["action"] == "enter" and lines[-1]["person"]["name"] == "ada@example.com"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    page.reload()
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.locator(PICTURE).count() == 0
    page.context.close()


def test_a_token_for_another_service_signs_nobody_in(come: Open, openid: Provider) -> None:
    page = come("eve", "")
    openid.audience = "another service"
    try:
        with page.expect_request("**/oauth2callback*"):
            page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign in").wait_for()
        assert page.get_by_role("button", name="Sign out").count() == 0
    finally:
        openid.audience = CLIENT
        page.context.close()


def test_anothers_run_is_seen_by_its_link_and_cannot_be_gone_on_with_or_deleted(come: Open, place: Path) -> None:
    for who, may in (("ada", True), ("bob", False)):
        page = come(who, "")
        sign_in(page)
        home = page.url.split("?")[0]
        page.goto(f"{home}tune?run=hers")
        page.get_by_role("button", name="Duplicate").wait_for()
        assert page.get_by_role("button", name="Resume").count() == may, who
        page.goto(f"{home}runs")
        table = page.get_by_test_id("stDataFrame").first
        table.locator("canvas").first.wait_for()
        table.click(position={"x": 16, "y": 52})  # the box at the left edge of the first row
        page.wait_for_url("**runs**")
        expect(page.get_by_role("button", name="Compare")).to_be_enabled()  # a run is chosen
        expect(page.get_by_role("button", name="Delete")).to_be_enabled(enabled=may)
        page.context.close()
    assert (place / "runs" / "hers").is_dir()


def test_pages_pictures_components_uploads_and_downloads_work_under_the_path(come: Open, tmp_path: Path) -> None:
    page = come("ada", "")
    sign_in(page)
    home, asked = page.url.split("?")[0], list[str]()
    assert home.endswith("/studio/")
    page.on("response", lambda response: asked.append(f"{response.status} {response.url}"))
    for name in PAGES:
        page.get_by_test_id("stSidebarNavLink").filter(has_text=name).click()
        if name != "Tour":  # its title is that of the step
            expect(page.locator("[data-testid=stMain] h1")).to_have_text(name)
        expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning")
        assert page.locator(WRONG).all_inner_texts() == [], name
    page.goto(f"{home}heads?level=1.0+%25")
    page.locator(".sf-level input").focus()
    page.keyboard.press("End")
    page.wait_for_url("**level=100*")
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG", exact=True).first.click()
    download.value.save_as(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes().startswith(b"\x89PNG")
    page.goto(f"{home}?images=Upload")
    upload = page.locator(f"{SIDEBAR} input[type=file]").last
    upload.set_input_files(sample_data() / "scenes" / "00-curve.jpg")
    page.wait_for_function(f"() => document.querySelector('{PICTURE}')?.naturalWidth > 600")
    # Not the upload's thumbnail, which the browser holds, nor where Streamlit first looks for itself.
    asked = [each for each in asked if " blob:" not in each and "/heads/_stcore/" not in each]
    assert [each for each in asked if not each.startswith(("2", "304")) or home not in each] == []
    page.context.close()
