"""Boxes and sweeps on the pages: what is offered, what is shown, and what is said of bad uploads."""

from __future__ import annotations

import numpy as np
import pytest

from app.uploads import Uploads
from sfcore.detectors.registry import entry
from sfcore.resources import sample_data
from tests.app.conftest import Visit, errors, metric
from tests.app.test_uploads import File, own_folder

__all__ = ["own_folder"]  # a fixture

IMAGES, POINTS = "centernet-tiny", "centerpoint-pillar-tiny"


def test_the_sidebar_offers_detectors_by_task_and_frames_by_what_they_read(visit: Visit) -> None:
    app = visit()
    assert {each.value for each in app.selectbox if each.key == "task"} == {"lanes"}
    app.selectbox(key="task").set_value("boxes3d").run()
    assert not errors(app) and app.selectbox(key="detector").value == POINTS
    assert set(app.selectbox(key="detector").options) >= {"centerpoint-pillar-waymo", POINTS}
    assert "ganet-tiny" not in app.selectbox(key="detector").options
    assert app.selectbox(key="image").value.endswith(".bin") and "Sweeps" in [each.value for each in app.subheader]


@pytest.mark.parametrize("name", [IMAGES, POINTS])
def test_a_link_to_a_detector_leads_to_its_task_and_samples(visit: Visit, name: str) -> None:
    app = visit(detector=name)
    assert not errors(app) and app.selectbox(key="detector").value == name
    assert app.selectbox(key="task").value == entry(name).sample.task_name
    assert int(metric(app, "Boxes found")) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [IMAGES, POINTS])
@pytest.mark.parametrize("page", ["pixels", "layers", "tune", "compare", "deploy"])
def test_every_page_shows_something_of_boxes(visit: Visit, name: str, page: str) -> None:
    app = visit(page, detector=name)
    assert not errors(app)
    assert not any("lanes" in each.value for each in app.markdown), [each.value for each in app.markdown]


def test_noise_moves_boxes_by_parts_that_add_up(visit: Visit) -> None:
    little, much = (
        float(metric(visit("heads", detector=POINTS, level=level, head="hm"), "Box Distortion Score"))
        for level in ("0.1 %", "100 %")
    )
    assert 0 <= little < much


def test_sweeps_that_visitors_send_are_read_once_and_bad_ones_named() -> None:
    spec = entry(POINTS).input
    good = (sample_data() / "sweeps" / "01-32-beams.bin").read_bytes()
    nothing = np.full((8, 4), np.nan, np.float32).tobytes()
    far = (np.ones((8, 4), np.float32) * 500).tobytes()
    sent = [File("good.bin", good), File("cut.bin", good[:-3]), File("nan.bin", nothing), File("far.bin", far)]
    kept, problems = Uploads().frames(sent, spec)
    assert [path.name for path in kept] == ["good.bin"]
    for name, problem in zip(("cut.bin", "nan.bin", "far.bin"), problems, strict=True):
        assert problem.startswith(name), problem
    assert "none of its 8 points in range" in problems[2]
