"""A first visit: every page shows something, Compare the run that ships, and any detector is quantized on the spot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from app import calibration
from app.calibration import Calibration
from app.results import heads_of
from app.session import KEY, Studio, first_detector, is_remembered, load_detector
from sfcore.datasets.dataset import spread
from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.base import Detector
from sfcore.detectors.registry import create, entries
from sfcore.errors import InputError
from sfcore.quant import Scheme, quantize
from sfcore.quant.copies import copied
from sfcore.resources import sample_data
from sfcore.runs.shipped import shipped
from sfcore.sensitivity.noise import relative_noise
from sfcore.tasks.lanes.agreement import agreement
from tests.app.conftest import PATIENCE, ROOT, Visit, errors

SCENES = sample_data() / "scenes"
SHIPPED = [entry.name for entry in entries() if entry.shipped]
EXAMPLE = (shipped().spec.detector, shipped().name)
HERE = f"{first_detector()} here"  # in a link: the first detector, quantized on the spot


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Six of the sample scenes."""
    for path in find_images([SCENES])[:6]:
        shutil.copy(path, tmp_path)
    return tmp_path


def visited(app: AppTest) -> Studio:
    """What the page saw of the sidebar."""
    studio: Studio = app.session_state[KEY]
    return studio


def by_hand(name: str, bits: str, files: Sequence[Path]) -> tuple[Detector, Detector]:
    """A detector, and what ``quantize`` makes of it from these images, two at a time."""
    detector = create(name)
    pixels = detector.preprocess(read_images(files))
    return detector, quantize(detector, Scheme.parse(bits), pixels.split(2))


@pytest.mark.parametrize("page", ["overview", "tour", "heads", "pixels", "curves", "tune", "compare", "deploy", "runs"])
def test_every_page_shows_a_picture_or_a_chart(visit: Visit, page: str) -> None:
    app = visit(page, c_images="2", c_reruns="2")
    assert errors(app) == []
    assert app.main.get("image") or app.main.get("plotly_chart")


@pytest.mark.parametrize("detector", [first_detector(), EXAMPLE[0]])
def test_curves_of_a_first_visit_ship_with_the_app(
    visit: Visit, detector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfcore.sensitivity.curves.noise_score_curves", None)
    app = visit("curves", detector=detector)
    assert errors(app) == [] and list(app.dataframe[0].value.index) == heads_of(detector)
    assert visit("curves", detector=detector, c_seed="1").exception  # others are measured


def test_a_newcomer_to_compare_sees_the_run_that_ships_and_its_detector(visit: Visit) -> None:
    app = visit("compare", frames="4")
    assert errors(app) == [] and f"An example that ships: {shipped().spec.detector} in W4A4-tensor" in app.info[0].value
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated", "tuned"]
    assert (app.selectbox(key="detector").value, app.selectbox(key="run choice").value) == EXAMPLE
    assert (app.query_params["detector"], app.query_params["run"]) == EXAMPLE
    app.switch_page("../pages/heads.py").run()
    assert app.selectbox(key="detector").value == EXAMPLE[0]


def test_lanes_of_the_run_that_ships_ship_with_the_app(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.results.model", None)
    app = visit("compare", frames="5")
    assert errors(app) == [] and list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated", "tuned"]


def test_a_newcomer_by_a_link_to_compare_gets_a_link_that_shows_the_same(visit: Visit) -> None:
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=PATIENCE)
    app.query_params["frames"] = "2"
    app.switch_page("../pages/compare.py").run()
    assert errors(app) == [] and app.title[0].value == "Compare"
    assert (app.query_params["detector"], app.query_params["run"]) == EXAMPLE
    assert (app.selectbox(key="detector").value, app.selectbox(key="run choice").value) == EXAMPLE


def test_who_has_chosen_a_detector_keeps_it(visit: Visit) -> None:
    app = visit()
    for name in ("lstr-tiny", first_detector()):
        app.selectbox(key="detector").set_value(name).run()
    app.switch_page("../pages/compare.py").run()
    assert errors(app) == [] and app.selectbox(key="detector").value == first_detector()
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated"]
    app = visit("compare", detector="lstr-tiny", frames="2")
    assert app.selectbox(key="detector").value == "lstr-tiny" and app.query_params["run"] == "lstr-tiny here"


@pytest.mark.parametrize("name", ["at", "bits", "on"])
def test_older_links_to_what_was_quantized_here_show_it(visit: Visit, name: str) -> None:
    given = {"at": "00-curve.jpg", "bits": "W8A8", "on": calibration.SAMPLES}
    app = visit("compare", frames="2", **{name: given[name]})
    assert errors(app) == [] and app.selectbox(key="detector").value == first_detector()
    assert "calibrated just now" in app.info[0].value


def test_compare_is_what_quantize_gives_by_hand(visit: Visit) -> None:
    app = visit("compare", run=HERE, frames="4")
    assert errors(app) == []
    table = app.dataframe[0].value.set_index("Model")
    assert list(table.index) == ["full precision", "calibrated"]
    view = visited(app)
    chosen = calibration.of(view, "W4A4")
    assert len(chosen.files) == 8 and is_remembered(chosen)
    full, quantized = by_hand(first_detector(), "W4A4", chosen.files)
    compared = calibration.unseen(view.frames, chosen)
    images = [frame.image for frame in spread(compared, 4)]
    assert len(compared) == 16 and app.number_input(key="frames").max == 16
    pixels = full.preprocess(read_images(images))
    with torch.no_grad():
        found = agreement(full.decode(full(pixels)), quantized.decode(quantized(pixels)))
    assert table["Agreement"]["calibrated"] == pytest.approx(found.f1)
    assert table["Distortion"]["calibrated"] == pytest.approx(found.distortion, rel=1e-4)


def test_it_says_that_it_is_calibrated_only_and_on_what(visit: Visit) -> None:
    said = visit("compare", run=HERE).info[0].value
    assert "W4A4, calibrated just now on 8 images; not tuned" in said and "None of the frames below" in said


def test_fewer_bits_do_more_harm_and_are_in_the_link(visit: Visit) -> None:
    app = visit("compare", frames="4", bits="W8A8")
    assert app.selectbox(key="bits").value == "W8A8"
    little = app.dataframe[0].value["Distortion"][1]
    app.selectbox(key="bits").set_value("W4A4").run()
    assert errors(app) == [] and 0 < little < app.dataframe[0].value["Distortion"][1] / 2


@pytest.mark.parametrize("view", ["Slider", "Side by side", "Blink", "Clip"])
def test_all_views_work_without_a_run(visit: Visit, view: str) -> None:
    app = visit("compare", run=HERE, frames="2", view=view, clip="2")
    assert errors(app) == []
    assert (app.selectbox(key="left").value, app.selectbox(key="right").value) == ("full precision", "calibrated")
    assert bool(app.get("video")) == (view == "Clip")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_small_detector_is_quantized_at_once(visit: Visit, name: str) -> None:
    assert calibration.is_ready(Calibration(_choice(name), "W4A4", ()))


def test_the_shared_detector_is_left_as_it_was(visit: Visit) -> None:
    view = visited(visit("compare", run=HERE, frames="2"))
    kept, fresh = load_detector(view.choice).state_dict(), create(view.choice.name).state_dict()
    assert kept.keys() == fresh.keys() and all(torch.equal(kept[name], fresh[name]) for name in kept)


def test_frames_that_it_was_calibrated_on_are_not_compared_unless_they_are_copies(visit: Visit, few: Path) -> None:
    app = visit("compare", run=HERE, images="Folder", folder=str(few))
    assert app.number_input(key="frames").max == 3 and "on 3 images" in app.info[0].value
    assert "None of the frames" in app.info[0].value
    app = visit("compare", images="Folder", folder=str(few), on=calibration.SAMPLES)
    assert errors(app) == [] and app.number_input(key="frames").value == 6
    known = len({path.name for path in few.iterdir()} & {path.name for path in _of_samples(app)})
    assert f"{known} of the 6 frames below are among them" in app.info[0].value and known > 0


def _of_samples(app: AppTest) -> Sequence[Path]:
    return calibration.of(visited(app), "W4A4", calibration.SAMPLES).files


def _choice(name: str) -> calibration.DetectorChoice:
    return calibration.DetectorChoice.of(name, None, "cpu")


def test_a_single_image_is_compared_and_samples_calibrate(visit: Visit, few: Path) -> None:
    app = visit("compare", run=HERE, images="Folder", folder=str(next(few.glob("*.jpg"))))
    assert errors(app) == [] and app.selectbox(key="on").options == [calibration.SAMPLES]
    assert len(app.dataframe[0].value) == 2


def test_an_unreadable_image_calibrates_nothing_and_is_listed(visit: Visit, few: Path) -> None:
    broken = sorted(few.glob("*.jpg"))[0]
    broken.write_bytes(b"no image")
    app = visit("compare", run=HERE, images="Folder", folder=str(few), image=sorted(few.glob("*.jpg"))[1].name)
    assert errors(app) == []
    listed = next(each for each in app.expander if "missing" in each.label).dataframe[0].value
    assert list(listed["Frame"]) == [broken.name]
    for path in few.glob("*.jpg"):
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the 3 images to calibrate on can be read"):
        calibration.of(visited(app), "W4A4")


def test_images_whose_names_are_no_text_are_calibrated_on(visit: Visit, few: Path) -> None:
    for place, path in enumerate(sorted(few.glob("*.jpg"))):
        os.rename(path, os.fsencode(few) + b"/road-\xff%d.jpg" % place)
    app = visit("compare", run=HERE, images="Folder", folder=str(few))
    assert errors(app) == [] and "on 3 images" in app.info[0].value
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated"]


def test_a_large_detector_is_quantized_when_asked_for(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "AT_ONCE", 0)
    app = visit("compare", frames="2", bits="W8A4")
    assert errors(app) == [] and not app.dataframe
    button = next(button for button in app.button if button.label.startswith("Quantize now, about"))
    button.click().run()
    assert errors(app) == [] and list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated"]
    assert not any(button.label.startswith("Quantize now") for button in app.button)


def test_curves_mark_where_it_stands(visit: Visit) -> None:
    app = visit("curves", c_images="24", c_levels="2", c_reruns="1", c_bits="W4A4")
    assert errors(app) == []
    view, table = visited(app), app.dataframe[0].value
    full, quantized = by_hand(view.choice.name, "W4A4", calibration.of(view, "W4A4").files)
    assert set(table.columns) >= {"noise, calibrated", "distortion, calibrated"}
    with torch.no_grad():
        pixels = full.preprocess(read_images(view.images))
        before, after = full(pixels), quantized(pixels)
    levels = {head: 100 * relative_noise(after[head], before[head]) for head in before}
    assert table["noise, calibrated"].to_dict() == pytest.approx(levels, rel=1e-3)


def test_an_example_that_was_tuned_is_a_click_away(visit: Visit) -> None:
    app = visit("compare", run=HERE, frames="2")
    next(button for button in app.button if button.label.startswith("See an example")).click().run()
    assert errors(app) == [] and app.selectbox(key="run choice").value == "tour"
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated", "tuned"]


def test_what_a_detector_of_ones_own_leaves_in_full_precision_is_said(
    visit: Visit, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Calibration, "made", lambda self: left_in_full_precision(load_detector(self.choice)))
    said = [warning.value for warning in visit("compare", run=HERE, images="Folder", folder=str(few)).warning]
    assert any("**stem** (it has hooks of its own)" in text for text in said)


def left_in_full_precision(detector: Detector) -> Detector:
    model = copied(detector)
    model.full_precision = {"stem": "it has hooks of its own"}
    return model
