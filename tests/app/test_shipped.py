"""The run that ships: listed, opened, compared, reported and duplicated on a first visit, and never changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import options, results
from app.team import actions
from sfcore.errors import InputError
from sfcore.present.model_comparison import calibration_overlap
from sfcore.present.report import report
from sfcore.present.report.evidence import held_back, source_of
from sfcore.present.report.sections.settings import command
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, list_runs
from sfcore.runs.shipped import COMMAND, shipped, ships
from sfcore.runs.tags import tags_of
from sfcore.tasks.base import TASKS
from tests.app.conftest import Visit, errors, metric

DETECTOR = shipped().spec.detector
CHANGING = ("Tags and note", "Search around", "Delete")


def said(app: AppTest) -> str:
    """All that the page says in HTML of its own."""
    return " ".join(element.proto.body for element in app.get("html"))


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def selected(app: AppTest) -> AppTest:
    """The page of runs with its only row selected."""
    app.session_state["table of tour"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return app.run()


def test_a_first_visit_lists_it_as_an_example_with_its_chart(visit: Visit) -> None:
    app = visit("runs")
    assert errors(app) == []
    (row,) = app.dataframe[0].value.to_dict("records")
    assert (row["Run"], row["Detector"], list(row["Tags"])) == ("tour", DETECTOR, ["example"])
    assert row["F1 tuned"] == pytest.approx(shipped().record()["result"]["tuned"]["f1"])
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    assert len(chart["y"]) > 3 and "distortion of condlanenet-tiny" in said(app)


def test_a_click_opens_its_lanes_with_its_detector(visit: Visit) -> None:
    app = press(visit("runs"), "See its lanes")
    assert errors(app) == [] and app.title[0].value == "Compare"
    assert app.selectbox(key="detector").value == DETECTOR and app.selectbox(key="run choice").value == "tour"
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated", "tuned"]
    assert "None of these 24 frames was used" in said(app) and "not on this machine" in said(app)


def test_links_name_it_on_every_page_of_runs(visit: Visit) -> None:
    for page in ("compare", "tune"):
        app = visit(page, detector=DETECTOR, run="tour")
        assert errors(app) == [] and app.selectbox(key="run choice").value == "tour", page
    assert metric(app, "F1, tuned") == f"{shipped().record()['result']['tuned']['f1']:.3f}"
    app = visit("curves", detector=DETECTOR, c_run="tour", c_images="2", c_reruns="2")
    assert errors(app) == [] and "noise, tuned" in app.dataframe[0].value
    app = visit("heads", detector=DETECTOR, kind="Quantization error", level="100 %")
    assert errors(app) == [] and float(metric(app, "Lane Distortion Score")) > 0


def test_nothing_can_change_it(visit: Visit) -> None:
    before = {path.name: path.read_bytes() for path in (sample_data() / "tour").iterdir()}
    app = selected(visit("runs"))
    assert errors(app) == []
    off = {
        button.label: button.disabled for button in app.button if button.label in (*CHANGING, "Compare", "Duplicate")
    }
    assert off == dict.fromkeys(CHANGING, True) | {"Compare": False, "Duplicate": False}
    with pytest.raises(InputError):
        actions.delete("tour")
    app = visit("tune", run="tour")
    assert not {"Stop", "Resume"} & {button.label for button in app.button}
    assert {path.name: path.read_bytes() for path in (sample_data() / "tour").iterdir()} == before


def test_a_run_of_this_machine_with_its_name_is_meant_by_it(visit: Visit, run: RunFolder) -> None:
    mine = run.path.with_name("tour")
    shutil.copytree(run.path, mine)
    app = visit("runs")
    assert sorted(app.dataframe[0].value["Run"]) == ["first", "tour"]
    app = visit("compare", run="tour")
    assert app.selectbox(key="run choice").value == "tour" and app.selectbox(key="detector").value != DETECTOR
    actions.delete("tour")
    assert ships(next(each for each in results.runs() if each.name == "tour"))


def test_own_runs_come_first_and_the_example_has_no_place_in_their_map(visit: Visit, run: RunFolder) -> None:
    app = visit("runs")
    assert list(app.dataframe[0].value["Run"]) == ["first", "tour"]
    assert not any("ships" in info.value for info in app.info)


def test_duplicating_it_keeps_the_images_of_the_sidebar_and_says_so(visit: Visit) -> None:
    app = press(visit("tune", run="tour"), "Duplicate")
    assert errors(app) == [] and app.segmented_control(key="images").value == "Samples"
    assert app.selectbox(key="detector").value == DETECTOR and app.checkbox(key="t_tensor").value
    assert app.number_input(key="t_iterations").value == shipped().spec.options["iterations"]
    assert any("not on this machine" in warning.value for warning in app.warning)


def test_images_that_are_gone_are_not_chosen_for_a_copy_of_a_run(visit: Visit, run: RunFolder, tmp_path: Path) -> None:
    spec = run.spec.to_dict() | {"images": [str(tmp_path / "gone")]}
    run.update(spec=spec)
    app = press(visit("tune", run=run.name), "Duplicate")
    assert errors(app) == [] and any("(gone) are not on this machine" in warning.value for warning in app.warning)
    assert options.ELSEWHERE in app.session_state


def test_a_folder_called_like_its_images_is_not_taken_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenes").mkdir()
    for name in ("52000056.png", "52000057.png"):
        shutil.copy(sample_data() / "scenes" / "00-curve.jpg", tmp_path / "scenes" / name)
    monkeypatch.chdir(tmp_path)
    assert calibration_overlap(shipped(), [tmp_path / "scenes" / "52000056.png"], str) == 0
    with pytest.raises(InputError, match="choose images for the report"):
        held_back(shipped(), TASKS["lanes"])


def test_its_report_is_about_images_that_are_chosen() -> None:
    source = source_of(str(sample_data() / "scenes"))
    page = report([shipped()], source, source.frames[:2])
    assert "None of them was used to calibrate or tune the run tour." in page and COMMAND in page
    assert command(shipped()) == COMMAND


def test_the_dialog_of_its_report_offers_only_images_that_are_there(visit: Visit) -> None:
    app = press(selected(visit("runs")), "Report")
    assert errors(app) == []
    offered = next(control for control in app.segmented_control if control.label == "Images" and not control.key)
    assert list(offered.options) == ["chosen in the sidebar"]


def test_the_command_line_lists_own_runs_alone(runs_folder: Path) -> None:
    assert list_runs(runs_folder) == [] and [each.name for each in results.runs()] == ["tour"]
    assert tags_of(shipped()).tags == ("example",)
