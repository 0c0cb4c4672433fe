"""The Tune page: efforts, estimate, queue, lanes that improve, and runs that are duplicated."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.run_estimate import about
from sfcore.quant.methods import methods
from sfcore.quant.methods.effort import FASTEST, PUBLISHED, efforts, preset, usual
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, launch, list_runs, preview
from sfcore.tasks.base import TASKS, Prediction
from tests.app.conftest import Visit, errors

ROWS = np.linspace(100, 350, 26)


def notes(app: AppTest) -> str:
    return " ".join(html.value for html in app.get("html"))


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_netwise_in_a_quick_look() -> None:
    assert preset(methods()["netwise"], "Quick look") == {
        "iterations": 150, "batch": 4, "check_every": 15, "reselect_every": 60, "learning_rate": 2e-4
    }  # fmt: skip


@pytest.mark.parametrize("name", methods())
def test_less_effort_is_fewer_iterations_at_rates_that_go_with_them(name: str) -> None:
    method = methods()[name]
    published = method()
    assert efforts(method)[-1] == PUBLISHED and preset(method, PUBLISHED) == {}
    for effort in efforts(method)[:-1]:
        less = method(**preset(method, effort))
        share = published.iterations / less.iterations
        assert share > 1 and less.batch <= published.batch and less.check_every <= less.iterations / 10
        faster = 1 if published.relative or method.steady else min(share, FASTEST)
        assert less.learning_rate == pytest.approx(published.learning_rate * faster, rel=0.01)
        if published.step_rate:
            assert less.step_rate == pytest.approx(published.step_rate * faster, rel=0.01)


def test_choosing_a_method_or_an_effort_fills_in_what_goes_with_it(visit: Visit) -> None:
    app = visit("tune", t_method="Net-wise plain", t_effort=PUBLISHED)
    assert app.number_input(key="t_iterations").value == 5000
    app.selectbox(key="t_effort").set_value("Thorough").run()
    assert app.number_input(key="t_iterations").value == 1000
    assert app.number_input(key="t_learning_rate").value == pytest.approx(1.25e-4)
    app.selectbox(key="t_method").set_value("qdrop").run()
    assert app.number_input(key="t_step_rate").value == pytest.approx(4e-5 * FASTEST)
    app.selectbox(key="t_effort").set_value(PUBLISHED).run()
    assert errors(app) == []
    found = {name: app.number_input(key=f"t_{name}").value for name in ("iterations", "step_rate", "batch")}
    assert found == {"iterations": 20_000, "step_rate": 4e-5, "batch": 32}
    app.selectbox(key="t_method").set_value("lidar-ptq").run()
    assert [app.selectbox(key=f"t_{name}").value for name in ("weights", "activations")] == ["maxmin-grid"] * 2
    app.selectbox(key="t_weights").set_value("minmax").run()
    app.selectbox(key="t_effort").set_value("Thorough").run()
    assert app.selectbox(key="t_weights").value == "minmax"  # it is the method that brings calibrators


def test_an_option_with_a_default_can_be_none() -> None:
    def page() -> None:
        import streamlit as st

        from app import options
        from sfcore.quant.methods import methods

        st.session_state["chosen"] = options.draw(methods()["lane-focus"], 4)

    app = AppTest.from_function(page)
    app.session_state["t_effort"] = PUBLISHED
    app.run()
    assert app.session_state["chosen"] == {}
    app.number_input(key="t_reach").set_value(0.0).run()
    app.number_input(key="t_rendered").set_value(0).run()
    assert not app.exception and app.session_state["chosen"] == {"reach": None, "rendered": 0}


def test_duplicate_fills_all_controls_with_the_settings_of_a_run(visit: Visit, run: RunFolder) -> None:
    app = visit("tune", t_bits="W8A8", t_method="QDrop", detector="lstr-tiny", t_corrected="false")
    press(app, "Duplicate")
    assert errors(app) == []
    assert (app.selectbox(key="t_bits").value, app.selectbox(key="t_method").value) == ("W4A4", "selective-focus")
    numbers = {name: app.number_input(key=f"t_{name}").value for name in ("k", "lam", "limit", "iterations")}
    assert numbers == {"k": 2, "lam": 5.0, "limit": 2, "iterations": 5000}
    assert app.selectbox(key="detector").value == run.spec.detector and app.checkbox(key="t_corrected").value
    press(app, "Start the run")
    started = next(each for each in list_runs(run.path.parent) if each.name != run.name)
    started.request_stop()
    ours, theirs = started.spec.to_dict(), run.spec.to_dict()
    assert ours == theirs | {"device": ours["device"], "options": {"lam": 5.0}}  # two heads are what it selects anyway
    wait_for_end(started)


def test_transforms_are_chosen_kept_in_the_link_and_filled_in(visit: Visit, run: RunFolder) -> None:
    said = "shift-scale: conv1: scaled, 0.50 of its output's error"
    spec = run.spec.to_dict() | {"transforms": ["fold-batch-norm", "token-clip", "gamma-migration"]}
    run.update(spec=spec, transform_notes=[said])
    app = visit("tune", t_transforms="shift-scale")
    chosen = app.multiselect(key="t_transforms")
    assert chosen.value == ["shift-scale"] and "fold-batch-norm" not in chosen.options
    assert "moves the factors of layer norms" in chosen.help.lower()
    press(app, "Duplicate")
    assert errors(app) == [] and app.multiselect(key="t_transforms").value == ["token-clip", "gamma-migration"]
    assert any("token-clip · gamma-migration" in each.value for each in app.markdown)
    assert app.table[0].value["What"][0] == "conv1: scaled, 0.50 of its output's error"


def wait_for_end(run: RunFolder) -> None:
    end = time.monotonic() + 600
    while run.is_alive():
        assert time.monotonic() < end, (run.path / "worker.log").read_text()
        time.sleep(0.1)


def test_the_place_in_the_queue_is_shown_and_can_be_left(visit: Visit, run: RunFolder) -> None:
    waiting = RunFolder.create(run.path.with_name("second"), run.spec)
    with run.lock():
        launch(waiting)
        app = visit("tune", run="second")
        assert errors(app) == []
        (bar,) = (element.proto.text for element in app.get("progress"))
        assert bar == "Number 2 in the queue, after a run on the same device: first"
        press(app, "Stop")
        wait_for_end(waiting)
    assert waiting.status == "stopped"
    assert "Resume" in [button.label for button in visit("tune", run="second").button]


def test_an_estimate_is_read_off_an_earlier_run(visit: Visit, run: RunFolder) -> None:
    app = visit("tune", t_method="Selective Focus", t_effort=PUBLISHED)
    assert "Estimate time and memory" in [button.label for button in app.button]
    run.update(memory=3 * 10**9, image_bytes=[0, 0], started=run.events()[0][0]["time"])
    said = " ".join(text.value for text in app.run().markdown)
    assert "About 5 s" in said and "About 3.0 GB" in said and "By the run first" in said
    run.update(memory=10**15)
    assert "it may not fit" in " ".join(text.value for text in app.run().markdown)


def lanes(shift: float) -> Prediction:
    """A lane straight up, moved to the right by so many pixels of 640."""
    line = np.stack([np.full(len(ROWS), 320 + shift), ROWS], 1)
    about = {"size": (360, 640), "rows": (float(ROWS[0]), float(ROWS[-1]), len(ROWS))}
    return TASKS["lanes"].restored([line], about)


def test_lanes_of_one_frame_are_shown_as_they_improved(visit: Visit, run: RunFolder) -> None:
    preview.begin(run, TASKS["lanes"], np.zeros((360, 640, 3), np.uint8), lanes(0))
    for iteration, shift in ((0, 5.0), (15, 4.0), (30, 2.0)):
        preview.add(run, TASKS["lanes"], iteration, lanes(shift))
    app = visit("tune")
    assert errors(app) == [] and "After 30 iterations: distortion 2.00" in notes(app)
    app.select_slider(key="iteration").set_value(0).run()
    assert "Calibrated, before any tuning: distortion 5.00" in notes(app)
    with run.lock():  # while it goes on, the present ones, without a slider
        run.update(status="running")
        app = visit("tune")
    assert "After 30 iterations" in notes(app) and not [s for s in app.select_slider if s.key == "iteration"]


def test_what_the_process_of_a_failed_run_printed_is_shown(visit: Visit, run: RunFolder) -> None:
    assert not visit("tune").get("code")
    run.update(status="failed", error="Killed")
    (run.path / "worker.log").write_text("Segmentation fault\n")
    app = visit("tune")
    assert [code.value for code in app.get("code")] == ["Segmentation fault"]
    assert errors(app) == ["Killed"]


def test_a_run_from_before_there_were_previews_is_drawn(visit: Visit, run: RunFolder) -> None:
    app = visit("tune")
    assert errors(app) == [] and not app.select_slider and len(app.get("plotly_chart")) >= 2


def test_times_are_said_no_better_than_they_are_known() -> None:
    said = {1: "5 s", 42: "40 s", 89: "90 s", 95: "2 min", 5399: "90 min", 7200: "2.0 h"}
    assert {seconds: about(seconds) for seconds in said} == said


def test_without_a_gpu_a_first_visit_gets_something_that_ends_in_minutes() -> None:
    expected = PUBLISHED if torch.cuda.is_available() else "Quick look"
    assert usual(methods()["netwise"]) == expected and usual(methods()["calibrate"]) == PUBLISHED


def test_weights_of_one_bit_are_offered_and_their_charts_drawn(visit: Visit, run: RunFolder) -> None:
    facts = {"entropy": 0.9, "balanced": 1.0, "updatable": 0.8, "t": 0.5}
    run.append({"type": "step", "iteration": 3, "iterations": 3, "loss": 1.0, "weights": {"conv": facts}})
    app = visit("tune", t_bits="W1A8", t_method="DIR-Net, for weights of 1 bit")
    assert errors(app) == [] and "W1A8" in app.selectbox(key="t_bits").options
    assert app.selectbox(key="t_method").value == "dir-net" and app.selectbox(key="t_estimator").value == "two-stage"
    said = " ".join(text.value for text in app.markdown)
    assert "Entropy of the signs" in said and "Slope of the sign" in said


@pytest.mark.parametrize(("limit", "said"), [("4", True), ("16", False)])
def test_too_few_images_for_steady_ranges_are_said(visit: Visit, limit: str, said: bool) -> None:
    assert ("Fewer than 16 images" in notes(visit("tune", t_limit=limit))) == said


@pytest.mark.parametrize(("method", "warned"), [("Net-wise plain", True), ("Calibration only", False)])
def test_who_tunes_on_frames_of_one_camera_is_warned(visit: Visit, tmp_path: Path, method: str, warned: bool) -> None:
    frame = sorted((sample_data() / "scenes").glob("*.jpg"))[0]
    for name in ("1.jpg", "2.jpg"):
        shutil.copy(frame, tmp_path / name)
    app = visit("tune", images="Folder", folder=str(tmp_path), t_method=method)
    assert any("one or two cameras" in each.value for each in app.warning) == warned
