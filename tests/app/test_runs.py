"""Runs: what people write on them, deleting and undoing, and the map that opens a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from app.team import actions
from benchmarks.browser import CHROMIUM, chromium, serving
from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec, list_runs
from sfcore.runs.tags import Tags, tags_of, write_tags
from sfcore.runs.trash import empty, restore, trash
from tests.app.conftest import Visit, errors

EXAMPLE = "tour"  # the run that ships


def another(run: RunFolder, name: str, **options: float) -> RunFolder:
    """The run again under another name and with other options."""
    path = run.path.with_name(name)
    shutil.copytree(run.path, path)
    record = json.loads((path / "run.json").read_text())
    record["spec"]["options"] |= options
    record["created"] -= 60  # the newest run is what the Compare page shows of itself
    (path / "run.json").write_text(json.dumps(record))
    return RunFolder.open(path)


def table(app: AppTest) -> pd.DataFrame:
    assert errors(app) == []
    return app.dataframe[0].value


def click(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_what_people_write_survives_the_worker(run: RunFolder) -> None:
    stale = run.record()
    write_tags(run, Tags.of(["  night ", "good", "night", ""], " two\nlines "))
    run._write_record(stale | {"status": "done"})  # as a worker does that read run.json before
    assert tags_of(run) == Tags(("good", "night"), "two\nlines")
    (run.path / "labels.json").write_text('{"tags": [1')
    assert tags_of(run) == Tags()
    with pytest.raises(InputError, match="41 characters"):
        Tags.of(["x" * 41], "")


def test_runs_are_found_by_words_and_tags(visit: Visit, run: RunFolder) -> None:
    write_tags(another(run, "second"), Tags(("night",), "seen in fog"))
    assert set(table(visit("runs"))["Run"]) == {"first", "second", EXAMPLE}
    assert list(table(visit("runs", f_text="FOG w4a4"))["Run"]) == ["second"]
    assert list(table(visit("runs", f_tags="night"))["Run"]) == ["second"]
    assert table(visit("runs", f_text="fog first")).empty


def test_a_deleted_run_comes_back_and_its_name_is_free_meanwhile(run: RunFolder) -> None:
    (run.path / "lock").touch()  # a worker leaves it, and deleting takes it
    files = {path.name: path.read_bytes() for path in run.path.iterdir()}
    gone = actions.delete(run.name)
    assert list_runs(run.path.parent) == [] and [each.name for each in trash(run.path.parent)] == ["first"]
    newer = RunFolder.create(run.path, RunSpec("lstr-tiny", (), "W8A8", "netwise"))
    with pytest.raises(InputError, match="another run first"):
        restore(gone)
    actions.delete(newer.name)
    assert restore(gone).path == run.path
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == files
    assert tags_of(run) == Tags() and len(trash(run.path.parent)) == 1


def test_the_trash_is_emptied_after_its_time(run: RunFolder) -> None:
    gone = actions.delete(run.name)
    empty(run.path.parent, kept_seconds=60)
    assert gone.place.is_dir()
    empty(run.path.parent, kept_seconds=0)
    assert trash(run.path.parent) == []
    with pytest.raises(InputError, match="no longer in the trash"):
        restore(gone)


def test_the_page_offers_the_way_back(visit: Visit, run: RunFolder) -> None:
    another(run, "second")
    gone = actions.delete(run.name)
    stranger = visit("runs")
    assert "1 in the trash" in stranger.markdown[0].value
    app = visit("runs")
    app.session_state["deleted runs"] = [gone]
    app.run()
    assert "1 run deleted" in app.markdown[0].value
    app = click(app, "Undo")
    assert set(table(app)["Run"]) == {"first", "second", EXAMPLE} and "Undo" not in [
        button.label for button in app.button
    ]
    others = actions.delete("second")
    app.session_state["deleted runs"] = [actions.delete(run.name)]
    app = click(app.run(), "Delete for good")
    assert trash(run.path.parent) == [others] and "1 in the trash" in app.markdown[0].value


def test_a_run_on_uploads_is_seen_by_whom_it_concerns(visit: Visit, run: RunFolder) -> None:
    held = another(run, "held").path / "images"
    held.mkdir()
    (held / "road.jpg").write_bytes(Path(run.spec.images[0], "00-curve.jpg").read_bytes())
    record = json.loads((held.parent / "run.json").read_text())
    record["spec"]["images"] = [str(held)]
    (held.parent / "run.json").write_text(json.dumps(record))
    assert set(table(visit("runs"))["Run"]) == {"first", EXAMPLE}
    stranger = visit("tune", run="first")
    assert "held" not in next(box for box in stranger.selectbox if box.label == "Run").options
    friend = visit(run="held").switch_page("../pages/runs.py").run()
    assert set(table(friend)["Run"]) == {"first", "held", EXAMPLE}


def test_two_runs_make_a_map(visit: Visit, run: RunFolder) -> None:
    another(run, "second", k=1)
    app = visit("runs", mapped="F1 tuned")
    assert errors(app) == [] and "Mean F1" in " ".join(element.proto.body for element in app.get("html"))


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium")
def test_a_click_on_the_map_opens_the_run_and_its_chart_is_saved(run: RunFolder) -> None:
    for k, lam in ((1, 1.0), (1, 5.0), (2, 1.0)):
        another(run, f"k{k}-lam{lam:g}", k=k, lam=lam)
    with serving(run.path.parent) as url, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 1400}, accept_downloads=True).new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{url}/runs")
        page.locator(".js-plotly-plot .hm").wait_for()
        for kind, beginning in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"k,")):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Save as {kind}").click()
            assert Path(download.value.path()).read_bytes().startswith(beginning)
            assert download.value.suggested_filename == f"k-lambda.{kind.lower()}"
        box = page.locator(".js-plotly-plot .hm image").bounding_box()
        assert box
        page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] * 3 / 4)  # k = 1, λ = 1
        expect(page.locator("h1")).to_have_text("Compare")
        expect(page.locator("[data-testid=stMain] [data-testid=stSelectbox] input").first).to_have_value("k1-lam1")
        page.wait_for_url("**/compare?*run=k1-lam1*")
        page.goto(f"{url}/tune")
        page.wait_for_url("**/tune?*run=first*")  # nobody chose the newest, and tomorrow it is another
