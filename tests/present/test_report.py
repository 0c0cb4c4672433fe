"""The report: its numbers, what made them, and that the file opens without a server or a network."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.graph_objects import Figure

import sfcore.cli
from benchmarks.browser import CHROMIUM, chromium
from sfcore.cli import tune
from sfcore.cli.console import Answer
from sfcore.errors import InputError
from sfcore.names import printable
from sfcore.present.report import Evidence, gather, source_of, write
from sfcore.present.report.blocks import Chart
from sfcore.present.report.sections.settings import command
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.runs.results import compare
from sfcore.runs.tags import Tags, write_tags

SCENES = sample_data() / "scenes"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other(run: RunFolder) -> RunFolder:
    """The same run with another seed and λ."""
    path = run.path.with_name("other")
    shutil.copytree(run.path, path)
    record = json.loads((path / "run.json").read_text())
    record["spec"] |= {"seed": 7, "options": {**record["spec"]["options"], "lam": 2.0}}
    (path / "run.json").write_text(json.dumps(record))
    return RunFolder.open(path)


@pytest.fixture
def evidence(run: RunFolder, other: RunFolder) -> Evidence:
    return gather([run, other], source_of(f"{SCENES}[:3]"))


class Page(HTMLParser):
    """A page as browsers read it; it fails where elements are not closed in turn."""

    VOID = ("meta", "img", "input", "path", "rect")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def values(self, tag: str, attribute: str) -> list[str | None]:
        """An attribute of all elements of a name; None of those without."""
        return [attributes.get(attribute) for name, attributes in self.elements if name == tag]


def marked(html: str) -> set[str]:
    """The first cells of the rows that stand out."""
    return set(re.findall(r'<tr class="marked"><td>(.*?)</td>', html))


def test_its_numbers_are_the_engines(run: RunFolder, evidence: Evidence) -> None:
    expected = compare(run, [f"{SCENES}[:3]"])
    assert evidence.comparison.scores["calibrated"].agreement == expected.calibrated
    assert evidence.comparison.scores["tuned, run 2"].agreement == expected.tuned
    assert evidence.levels[0] == evidence.levels[1] and min(evidence.levels[0]["tuned"].values()) > 0
    html = write(evidence)
    assert f'data-value="{expected.calibrated.distortion!r}"' in html  # all digits, for the CSV file
    assert html.count("data:image/jpeg;base64,") == 3 * 5  # frames, models


def test_what_differs_between_two_runs_is_marked(run: RunFolder, evidence: Evidence) -> None:
    assert marked(write(evidence)) == {"Seed", "λ"}
    assert marked(write(gather([run], source_of(f"{SCENES}[:1]")))) == set()


def test_scenarios_and_labels_are_shown_where_there_are_some(
    run: RunFolder, evidence: Evidence, tmp_path: Path
) -> None:
    assert "F1, against labels" in write(evidence)
    shutil.copy(SCENES / "00-curve.jpg", tmp_path)
    assert "against labels" not in write(gather([run], source_of(str(tmp_path))))


def test_the_command_repeats_the_run(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"k": 2, "lam": 5.0, "selection": "random", "step_rate": None, "learn": ["weights", "biases"]}
    spec = run.spec.to_dict() | {"options": options, "bias_correction": False, "weight_calibrator": "minmax"}
    spec["transforms"] = ["fold-batch-norm", "shift-scale", "token-clip"]
    run.update(spec=spec)
    made: list[RunFolder] = []
    monkeypatch.setattr(tune, "carry_out", lambda folder, *_: made.append(folder) or Answer({}, ""))
    monkeypatch.chdir(tmp_path)
    assert sfcore.cli.main(shlex.split(command(run))[1:]) == 0
    assert made[0].spec == run.spec


def test_frames_that_were_held_back_are_the_default(run: RunFolder) -> None:
    with pytest.raises(InputError, match="choose images"):
        gather([run])
    images = [{"file": str(SCENES / "00-curve.jpg")}, {"file": str(SCENES / "gone.jpg")}]
    (run.path / "lanes.json").write_text(json.dumps({"images": images}))
    found = gather([run])
    assert found.held_back and [frame.name for frame in found.comparison.frames] == ["00-curve.jpg"]


def test_damaged_frames_are_named_and_in_no_number(run: RunFolder, tmp_path: Path) -> None:
    shutil.copy(SCENES / "00-curve.jpg", tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    found = gather([run], source_of(str(tmp_path)))
    assert list(found.comparison.problems) == ["broken.jpg"] and len(found.predictions["tuned"]) == 1
    assert "broken.jpg" in write(found)


def test_runs_that_cannot_be_compared_are_refused(run: RunFolder, other: RunFolder) -> None:
    other.update(spec={**other.spec.to_dict(), "detector": "lstr-tiny"})
    with pytest.raises(InputError, match="different detectors"):
        gather([run, other])
    for file in other.path.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(InputError, match="no model yet"):
        gather([other])


def test_names_cannot_break_the_page(run: RunFolder) -> None:
    other = run.path.with_name("<script>alert(1)<!--")
    shutil.move(run.path, other)
    html = write(gather([RunFolder.open(other)], source_of(f"{SCENES}[:1]")))
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_what_people_write_cannot_break_the_page(run: RunFolder, tmp_path: Path) -> None:
    name = "\"><img src=x onerror=alert(1)>'\n\udcb5.jpg"
    (tmp_path / "frames").mkdir()
    shutil.copy(SCENES / "00-curve.jpg", tmp_path / "frames" / name)
    write_tags(run, Tags(("<i>tag",), "a\n<b>note"))
    html = write(gather([run], source_of(str(tmp_path / "frames"))))
    page = Page(html)
    models = ("full precision", "calibrated", "tuned")
    assert page.values("img", "alt") == [f"Lanes of {model} on {printable(name)}" for model in models]
    assert not [attributes for _, attributes in page.elements if any(each.startswith("on") for each in attributes)]
    assert '<span class="tag">&lt;i&gt;tag</span>a &lt;b&gt;note' in html


def test_everything_that_is_seen_is_also_said(evidence: Evidence) -> None:
    page = Page(write(evidence))
    assert all(page.values("img", "alt")) and all(page.values("input", "aria-label"))
    plots = [attributes for _, attributes in page.elements if attributes.get("class") == "plot"]
    assert len(plots) > 3 and all(each["role"] == "img" and each["aria-label"] for each in plots)


def test_a_chart_ends_no_script_and_its_figure_stays_as_it_is() -> None:
    figure = Figure().add_bar(x=["</script><!--"], y=[1]).update_layout(height=200)
    before = figure.to_json()
    chart = Chart("Bars", "Bars", figure)
    assert "<" not in chart.json and json.loads(chart.json)["data"][0]["x"] == ["</script><!--"]
    assert figure.to_json() == before


def test_it_is_made_without_streamlit() -> None:
    code = "import sys, sfcore.present.report; sys.exit('streamlit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: install the package chromium")
def test_it_opens_offline(evidence: Evidence, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(write(evidence), encoding="utf-8")
    with chromium() as browser:
        page = browser.new_context(offline=True, accept_downloads=True).new_page()
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(file.as_uri())
        page.locator(".js-plotly-plot").last.wait_for()
        assert page.locator(".js-plotly-plot").count() == page.locator("figure.chart").count() > 3
        page.locator("select[data-side=right]").select_option("calibrated")
        assert page.locator(".slider img.right").first.get_attribute("data-model") == "calibrated"
        page.locator(".slider input").first.press("ArrowRight")
        assert page.locator(".slider").first.evaluate("(s) => s.style.getPropertyValue('--at')") == "50.5%"
        for kind, beginning in (("png", b"\x89PNG"), ("svg", b"<svg"), ("csv", b"Model,F1")):
            with page.expect_download() as download:
                page.locator(f"[data-save={kind}]").first.click()
            assert Path(download.value.path()).read_bytes().startswith(beginning)
    assert wrong == [] and {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


@pytest.mark.slow
def test_engines_stand_in_it_where_they_were_asked(run: RunFolder) -> None:
    evidence = gather([run], source_of(f"{SCENES}[:2]"), engines=["onnxruntime"])
    assert evidence.parity is not None
    page = write(evidence)
    Page(page)
    assert "What engines make of it" in page and evidence.parity.verdicts()[0].split(":")[0] in page
    assert "What engines make of it" not in write(gather([run], source_of(f"{SCENES}[:2]")))
