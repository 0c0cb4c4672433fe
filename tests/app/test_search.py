"""Searches on the pages: what is started, what is shown while they go on, who may stop them, and who sees them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.team import actions, limits
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec
from sfcore.search import presence, process
from sfcore.search.folder import Search, begin, read, searches
from sfcore.search.process import Launched
from sfcore.search.work import work_on
from sfcore.serving import Serving
from tests.app.conftest import Visit, errors
from tests.search.test_command import SPEC, pretended

AXES = ("k=1,2", "lam=0.1:10:log", "learning_rate=1e-4,1e-3")
AROUND = {"t_what": "A search", "detector": "lstr-tiny", "t_method": "Selective Focus"}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Launched | None]]:
    """Searches that were launched, none of which gets a process."""
    found: list[tuple[Path, Launched | None]] = []
    monkeypatch.setattr(process, "launch", lambda path, how=None: found.append((path, how)))
    return found


@pytest.fixture
def tried(runs_folder: Path) -> Path:
    """A search of six trials, two of which were hopeless; two more are asked for."""
    return searched(runs_folder / "first", SPEC.to_dict(), tuple(f"{lam}" for lam in range(1, 7)))


def searched(path: Path, spec: dict[str, Any], lams: tuple[str, ...]) -> Path:
    over = ("lam=" + ",".join(lams), "batch=1,2")
    begin(path, Search(spec, over, "grid", 6))
    work_on(path, worker=pretended(lambda lam: lam if lam < 5 else 50.0, list[float]()))
    begin(path, Search(spec, over, "grid", 8))
    return path


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def said(app: AppTest) -> str:
    bars = [each.proto.text for each in app.get("progress")]
    return " ".join([each.value for each in app.markdown] + [each.proto.body for each in app.get("html")] + bars)


def test_a_search_begins_around_what_the_page_holds(
    visit: Visit, runs_folder: Path, begun: list[tuple[Path, Launched | None]]
) -> None:
    app = visit("tune", **AROUND, t_limit="2", t_seed="3", s_k="1,2", s_lam="0.1:10:log", s_sampler="random")
    app.text_input(key="s_bits").set_value("W4A4,W8A8").run()
    app.number_input(key="s_trials").set_value(9).run()
    app.checkbox(key="s_early").set_value(False).run()
    assert errors(app) == [] and "No searches yet" in app.info[0].value
    app = press(app, "Start the search")
    assert errors(app) == []
    ((path, how),) = begun
    what = read(path)
    assert what.over == ("k=1,2", "lam=0.1:10:log", "bits=W4A4,W8A8") and how == Launched()
    assert (what.sampler, what.trials, what.seed, what.early) == ("random", 9, 3, False)
    spec = RunSpec.from_dict(what.spec)
    assert (spec.detector, spec.method, spec.limit, spec.seed) == ("lstr-tiny", "selective-focus", 2, 3)
    assert not {"k", "lam"} & spec.options.keys() and Path(spec.images[0]).is_absolute()
    assert searches(runs_folder) == [path] and path.name in app.query_params["search"]


def test_trials_go_to_other_machines_as_many_at_a_time_as_are_asked_for(
    visit: Visit, begun: list[tuple[Path, Launched | None]]
) -> None:
    pytest.importorskip("submitit")
    app = visit("tune", **AROUND, s_k="1,2", t_where="slurm")
    assert "Trials at a time" not in [each.label for each in visit("tune", **AROUND).number_input]
    app.text_input(key="t_address").set_value("local").run()
    app.number_input(key="s_at_once").set_value(3).run()
    assert errors(press(app, "Start the search")) == []
    assert [how for _, how in begun] == [Launched("slurm", "local", 1, 3)]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"s_lam": "1,,2"}, "it must be a number"),
        ({"s_lam": "0.1:10:log"}, "a range has no grid"),
        ({"s_k": "9"}, "9"),
        ({"s_k": "", "s_lam": ""}, "nothing is varied"),
        ({"s_more": "haste=1,2"}, "no option 'haste' to vary"),
        ({"s_lam": ",".join(map(str, range(1, 66))), "s_k": "1"}, "at most 64"),
    ],
)
def test_what_cannot_be_searched_is_named_and_nothing_is_begun(
    visit: Visit, runs_folder: Path, begun: list[Any], typed: dict[str, str], message: str
) -> None:
    app = visit("tune", **AROUND | typed)
    if "Start the search" in labels(app):
        app = press(app, "Start the search")
    assert any(message in each for each in errors(app)) and not begun and searches(runs_folder) == []


def test_an_axis_that_changes_nothing_says_why(visit: Visit) -> None:
    app = visit("tune", t_what="A search", detector="lstr-tiny", t_method="Net-wise plain")
    k = app.text_input(key="s_k")
    assert k.disabled and k.placeholder.startswith("netwise ") and k.value == ""


def test_a_search_is_shown_with_its_best_trial_and_its_command(visit: Visit, tried: Path) -> None:
    app = visit("tune", **AROUND, search=tried.name)
    assert errors(app) == [] and "4 done, 2 stopped early of 8 trials" in said(app)
    assert "**Best: 1.10** with λ 1, Batch 1" in said(app)
    assert len(app.get("plotly_chart")) == 2
    assert f"--out {tried}" in app.code[0].value and "--over lam=1,2,3,4,5,6 batch=1,2" in app.code[0].value
    assert "Go on" in labels(app) and "Stop" not in labels(app)


def test_the_best_trial_opens(visit: Visit, tried: Path) -> None:
    app = visit("tune", **AROUND, search=tried.name)
    app.button(key="best tune").click().run()
    assert errors(app) == [] and app.session_state["t_what"] == "A run"
    assert app.session_state["run"] == "first-000"


def test_a_search_that_goes_on_is_stopped_from_both_pages(visit: Visit, tried: Path) -> None:
    with presence.at_work(tried):
        app = visit("tune", **AROUND, search=tried.name)
        assert "Go on" not in labels(app) and "so far" in said(app)
        press(app, "Stop")
        assert presence.stop_requested(tried)
        (tried / presence.STOP).unlink()
        app = visit("runs")
        assert "first: 4 done, 2 stopped early of 8 trials" in said(app)
        press(app, "Stop")
        assert presence.stop_requested(tried)
    assert "Stop" not in labels(visit("runs"))


def test_a_search_that_was_stopped_goes_on_as_it_was_launched(
    visit: Visit, tried: Path, begun: list[tuple[Path, Launched | None]]
) -> None:
    press(visit("tune", **AROUND, search=tried.name), "Go on")
    assert begun == [(tried, None)]


def test_a_search_without_runs_can_be_removed(visit: Visit, tried: Path) -> None:
    with pytest.raises(InputError, match="has runs"):
        actions.remove_search(tried)
    for number in range(6):
        actions.delete(f"first-{number:03d}")
    app = press(visit("tune", **AROUND, search=tried.name), "Remove")
    assert errors(app) == [] and not tried.exists()


def test_a_search_on_uploads_is_seen_with_its_runs_by_whoever_has_its_link(visit: Visit, runs_folder: Path) -> None:
    images = runs_folder / "held" / "images"
    images.mkdir(parents=True)
    shutil.copy(sample_data() / "scenes" / "00-curve.jpg", images)
    searched(runs_folder / "held", SPEC.to_dict() | {"images": [str(images)]}, ("1", "2", "3"))
    assert not visit("runs").dataframe[0].value["Run"].str.startswith("held").any()
    assert "No searches yet" in visit("tune", **AROUND).info[0].value
    friend = visit("tune", **AROUND, search="held")
    assert "of 8 trials" in said(friend)
    friend.switch_page("../pages/runs.py").run()
    assert friend.dataframe[0].value["Run"].str.startswith("held").sum() == 6


@pytest.fixture
def _team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in Serving((str(tmp_path),), queued=1).environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_team")
def test_anothers_search_is_seen_and_not_touched(visit: Visit, tried: Path) -> None:
    (tried / process.FILE).write_text(json.dumps({"owner": {"id": "them", "name": "Them"}}))
    with presence.at_work(tried):
        app = visit("tune", **AROUND, search=tried.name)
        assert errors(app) == [] and "Started by Them" in said(app) and "Stop" not in labels(app)
        assert "Stop" not in labels(visit("runs"))
        for deed in (actions.stop_search, actions.resume_search, actions.remove_search):
            with pytest.raises(InputError, match="is Them's"):
                deed(tried)
    assert not presence.stop_requested(tried)


@pytest.mark.usefixtures("_team")
def test_a_search_counts_among_the_runs_of_its_owner_and_belongs_to_them(
    tried: Path, begun: list[tuple[Path, Launched | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.search(tried.with_name("second"), read(tried), actions.Place())
    ((_, how),) = begun
    assert how and how.owner["id"].startswith("session ")
    monkeypatch.setattr("app.team.people.person", lambda: None)  # nobody else's run is looked at below
    (tried / process.FILE).write_text(json.dumps({"owner": how.owner}))
    monkeypatch.setattr(limits, "person", lambda: type("Me", (), how.owner))
    limits.check_queue()
    with presence.at_work(tried), pytest.raises(InputError, match="you have 1 runs"):
        limits.check_queue()


@pytest.mark.usefixtures("_team")
def test_more_trials_at_a_time_than_one_person_may_have_runs_are_refused(tried: Path, begun: list[Any]) -> None:
    with pytest.raises(InputError, match="one person may have 1: 2 more must wait"):
        actions.search(tried.with_name("second"), read(tried), actions.Place(), at_once=2)
    assert not begun and not tried.with_name("second").exists()


@pytest.mark.usefixtures("_team")
def test_a_scheme_file_outside_is_no_axis(visit: Visit, runs_folder: Path) -> None:
    app = visit("tune", **AROUND, s_bits="W4A4,/etc/x.json")
    assert any("is outside" in each for each in errors(app)) and "Start the search" not in labels(app)


def test_a_damaged_search_hides_no_other(visit: Visit, tried: Path, runs_folder: Path) -> None:
    (runs_folder / "torn").mkdir()
    (runs_folder / "torn" / "search.json").write_text("{")
    app = visit("tune", **AROUND)
    assert errors(app) == [] and "of 8 trials" in said(app)
    assert RunFolder.open(runs_folder / "first-000").status == "done"
