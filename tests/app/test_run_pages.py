"""The pages about runs, with a finished run at hand."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from app import results
from app.team import actions
from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, list_runs
from sfcore.runs.results import load_model, models_of
from tests.app.conftest import Visit, errors, metric


def test_compare_shows_both_models_and_owns_up_to_calibration_frames(visit: Visit, run: RunFolder) -> None:
    app = visit("compare", frames="24")
    assert errors(app) == []
    table = app.dataframe[0].value
    assert list(table["Model"]) == ["full precision", "calibrated", "tuned"]
    assert table["Agreement"][0] == 1 and (table["Distortion"][1:] > 0).all()
    assert "2 of these 24 frames" in app.warning[0].value


def test_the_models_of_a_run_are_converted_once_and_share_nothing(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    detectors = [results.model(run.path, which, results.stamp(run, which)) for which in models_of(run)]
    monkeypatch.setattr("app.results.converted", None)  # it is kept
    places = set[int]()
    for which, found in zip(models_of(run), detectors, strict=True):
        expected, state = load_model(run, which).state_dict(), found.state_dict()
        assert expected.keys() == state.keys()
        assert all(np.array_equal(state[name], expected[name], equal_nan=True) for name in state)
        own = {each.data_ptr() for each in found.parameters()}
        assert not found.training and not places & own
        places |= own
    results.model.clear()
    assert results.model(run.path, "tuned", results.stamp(run, "tuned")) is not detectors[-1]


def test_curves_mark_where_the_models_stand(visit: Visit, run: RunFolder) -> None:
    app = visit("curves", c_images="2", c_reruns="2", c_run=run.name)
    assert errors(app) == []
    table = app.dataframe[0].value
    assert (table[["noise, calibrated", "noise, tuned"]] > 0).all(axis=None)


def test_heads_replays_the_error_of_a_run(visit: Visit, run: RunFolder) -> None:
    app = visit("heads", kind="Quantization error", level="100 %")
    assert errors(app) == []
    assert float(metric(app, "Lane Distortion Score")) > 0


def test_tune_shows_how_a_run_went(visit: Visit, run: RunFolder) -> None:
    app = visit("tune")
    assert errors(app) == []
    assert metric(app, "F1, tuned") == "0.500"


def test_runs_lists_it_and_says_how_to_get_a_map(visit: Visit, run: RunFolder) -> None:
    app = visit("runs")
    assert errors(app) == []
    row = app.dataframe[0].value.iloc[0]
    assert (row["Run"], row["Bits"], row["k"], row["Took"]) == (run.name, "W4A4", 2, "1 min 30 s")
    assert "several values of k" in app.info[0].value


def test_delete_removes_a_run_and_nothing_else(run: RunFolder) -> None:
    actions.delete(run.name)
    assert not run.path.exists()
    with pytest.raises(InputError):
        actions.delete("../somewhere")


def test_a_run_that_goes_on_is_not_deleted(run: RunFolder) -> None:
    with run.lock(), pytest.raises(InputError, match="going on"):
        actions.delete(run.name)
    assert run.path.exists()


def test_tune_starts_a_run_that_finishes_by_itself(visit: Visit, runs_folder: Path) -> None:
    app = visit("tune", t_method="Calibration only", t_limit="2", t_device="cpu")
    next(button for button in app.button if button.label == "Start the run").click().run()
    assert errors(app) == []
    (started,) = list_runs(runs_folder)
    assert started.spec.limit == 2 and started.name in app.selectbox(key="run choice").options
    end = time.monotonic() + 120
    while started.is_alive() and time.monotonic() < end:
        time.sleep(0.5)
    assert started.status == "done", (started.path / "worker.log").read_text()
    assert metric(visit("tune"), "F1, tuned") == metric(visit("tune"), "F1, calibrated")


def test_a_run_that_is_gone_is_forgotten(visit: Visit, run: RunFolder) -> None:
    app = visit("tune", run=run.name)
    assert app.selectbox(key="run choice").value == run.name
    shutil.copytree(run.path, run.path.with_name("second"))
    actions.delete(run.name)
    app.run()
    assert errors(app) == [] and app.selectbox(key="run choice").value == "second"


def test_the_run_chosen_on_one_page_is_that_of_the_others(visit: Visit, run: RunFolder) -> None:
    older = run.path.with_name("older")
    shutil.copytree(run.path, older)
    RunFolder.open(older).update(created=0.0)
    app = visit("tune")
    assert app.selectbox(key="run choice").value == run.name
    app.selectbox(key="run choice").set_value("older").run()
    app.switch_page("../pages/compare.py").run()
    assert errors(app) == [] and app.selectbox(key="run choice").value == "older"
    app.switch_page("../pages/tune.py").run()
    assert app.selectbox(key="run choice").value == "older"


def test_a_link_to_a_run_that_is_gone_shows_the_newest(visit: Visit, run: RunFolder) -> None:
    app = visit("tune", run="gone")
    assert errors(app) == [] and app.selectbox(key="run choice").value == run.name


def test_pages_lead_to_each_other_while_the_link_holds_what_was_chosen(visit: Visit, run: RunFolder) -> None:
    app = visit(detector="lstr-tiny")
    next(button for button in app.button if button.label == "Take the tour").click().run()
    assert errors(app) == [] and app.segmented_control(key="step").value == "Broken"
    app.segmented_control(key="step").set_value("Repaired").run()
    next(button for button in app.button if button.label == "Compare frame by frame").click().run()
    assert errors(app) == [] and app.selectbox(key="run choice").value == "tour"
    assert app.selectbox(key="detector").value == RunFolder.open(sample_data() / "tour").spec.detector
