"""Where runs are started: what is offered, what a team's server allows, and what pages say of runs elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from streamlit.testing.v1 import AppTest

from app.team import actions
from app.team.places import Place, check_offered, offered
from sfcore.errors import InputError
from sfcore.runs import RunFolder, list_runs
from sfcore.runs.launcher import LAUNCHERS, Launcher
from sfcore.serving import Serving
from tests.app.conftest import Visit, errors


class Elsewhere(Launcher):
    """Machines that only write down what they are given."""

    addresses: ClassVar[str | None] = "any word but nowhere"
    gives_cores: ClassVar[bool] = True
    stopped: ClassVar[list[str]] = []

    def launch(self, run: RunFolder) -> str:
        if self.address == "full":
            raise InputError("elsewhere is full: wait")
        with run.lock():
            run.enqueue("elsewhere", address=self.address, cores=self.cores)
            run.update(job="7", node="far", status="running")
        return "7"

    def refusal(self) -> str | None:
        return "nobody is nowhere: choose another address" if self.address == "nowhere" else None

    def is_alive(self, run: RunFolder) -> bool:
        return run.record()["status"] == "running"

    def stop(self, run: RunFolder) -> None:
        self.stopped.append(run.name)
        run.update(status="stopped")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    LAUNCHERS.names()  # those that there are come first
    monkeypatch.setitem(LAUNCHERS._things, "elsewhere", Elsewhere)  # of no module: a visit replaces the main one
    monkeypatch.setattr(Elsewhere, "stopped", [])


@pytest.fixture
def _team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    team = Serving((str(tmp_path),), launchers=(("elsewhere", "here:1"),))
    for name, value in team.environment.items():
        monkeypatch.setenv(name, value)


def place_of(app: AppTest, name: str) -> AppTest:
    """Choose a launcher by what the page calls it."""
    title = next(place.title for place in offered() if place.name == name)
    return app.selectbox(key="t_where").set_value(title).run()


def start(app: AppTest) -> AppTest:
    return next(each for each in app.button if each.label == "Start the run").click().run()


def test_a_run_is_started_followed_and_stopped_elsewhere(visit: Visit, runs_folder: Path) -> None:
    app = visit("tune", t_method="Calibration only", t_limit="2", t_device="cpu")
    assert len(app.selectbox(key="t_where").options) == len(LAUNCHERS.names())
    assert "t_cores" not in [each.key for each in app.number_input]  # this machine gives none
    place_of(app, "elsewhere")
    app.text_input(key="t_address").set_value("nowhere").run()
    assert any("Nobody is nowhere" in each.value for each in app.warning)
    assert next(each for each in app.button if each.label == "Start the run").disabled
    app.text_input(key="t_address").set_value("full").run()
    start(app)
    assert errors(app) == ["elsewhere is full: wait"] and not list_runs(runs_folder)  # nothing is left of it
    app.text_input(key="t_address").set_value("there:1")
    app.number_input(key="t_cores").set_value(3).run()
    start(app)
    assert errors(app) == []
    (run,) = list_runs(runs_folder)
    assert Place.of(run) == Place("elsewhere", "there:1", 3)
    assert any("elsewhere · far, job 7" in str(each.proto.body) for each in app.get("html"))
    next(each for each in app.button if each.label == "Stop").click().run()
    assert Elsewhere.stopped == [run.name]
    app.switch_page("../pages/runs.py").run()
    assert "elsewhere · far" in app.dataframe[0].value["Where"].tolist()


@pytest.mark.usefixtures("_team")
def test_in_a_team_runs_go_where_the_server_says_and_nowhere_else(run: RunFolder) -> None:
    assert [(place.name, place.address) for place in offered()] == [("local", None), ("elsewhere", "here:1")]
    check_offered(Place("elsewhere", "here:1", 4))
    for place in (Place("elsewhere", "there:1"), Place("elsewhere"), Place("ray"), Place("local", "here:1")):
        with pytest.raises(InputError, match=r"this server starts no runs by .*: choose local or elsewhere at here:1"):
            actions.start(run.path.with_name("other"), run.spec, place)
    assert not run.path.with_name("other").exists()


@pytest.mark.usefixtures("_team")
def test_in_a_team_nobody_types_an_address(visit: Visit) -> None:
    app = visit("tune", t_method="Calibration only", t_limit="2", t_device="cpu")
    place_of(app, "elsewhere")
    assert errors(app) == [] and "t_address" not in [each.key for each in app.text_input]
    assert app.number_input(key="t_cores").value == 1
