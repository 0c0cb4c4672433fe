"""The Deploy page: files to take away, and what engines make of them."""

from __future__ import annotations

import io
import json
import shutil
import sys
import zipfile

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import calibration, deployment
from app.deployment import Leaving
from app.session import first_detector
from sfcore.deployment.parity import SIMULATION
from sfcore.engines.base import ENGINES
from sfcore.export.base import EXPORTERS
from sfcore.quant import Scheme
from sfcore.runs import RunFolder
from sfcore.runs.shipped import shipped
from tests.app.conftest import Visit, errors

DETECTOR = "bezierlanenet-tiny"
HERE = {"detector": DETECTOR, "run": f"{DETECTOR} here", "d_frames": "2"}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images: what a page shows does not depend on how many there are."""
    monkeypatch.setattr(calibration, "IMAGES", 2)


@pytest.fixture
def untaught(monkeypatch: pytest.MonkeyPatch) -> None:
    """No result of another test is there."""
    monkeypatch.setattr(deployment, "remembered", lambda key, make: make())
    monkeypatch.setattr(deployment, "is_remembered", lambda key: False)


def link(app: AppTest, name: str) -> str:
    """What the link holds."""
    found = app.query_params[name]
    return found if isinstance(found, str) else found[0]


def without(*names: str) -> dict[str, str]:
    """What a link holds where formats or engines are not ticked."""
    return dict.fromkeys(names, "false")


def table(app: AppTest, column: str) -> pd.DataFrame:
    """The table that has a column of that name."""
    return next(each.value for each in app.dataframe if column in each.value)


def archives(app: AppTest) -> list[str]:
    """What stands on the buttons that save all files."""
    return [each.proto.label for each in app.get("download_button") if each.proto.label.startswith("Save all")]


def notes(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def test_a_first_visit_offers_the_run_that_ships_and_all_formats_and_engines(visit: Visit) -> None:
    app = visit("deploy")
    assert errors(app) == []
    assert (link(app, "run"), link(app, "detector")) == (shipped().name, shipped().spec.detector)
    assert [box.label for box in app.checkbox if box.value] == [*EXPORTERS.names(), *ENGINES.names()]
    assert not app.dataframe and not archives(app)


def test_what_is_calibrated_here_begins_with_a_scheme_that_engines_run(visit: Visit) -> None:
    app = visit("deploy", **HERE)
    assert errors(app) == []
    bits = app.selectbox(key="d_bits")
    assert Scheme.parse(bits.value) == Scheme.parse("W8A8-portable-adds")
    assert all(Scheme.parse(text).target for text in bits.options)


def test_an_export_lists_its_files_and_zips_them_with_manifest_and_example(visit: Visit) -> None:
    app = visit("deploy", **HERE, **without("d_as_openvino", "d_as_encodings"))
    app.button(key="d_export").click().run()
    assert errors(app) == []
    listed = table(app, "File").set_index("File")
    assert dict(listed["Format"]) == {"model.onnx": "onnx", "model-fp32.onnx": "onnx-fp32"}
    assert 20 < listed["Of full precision"]["model.onnx"] < 60 < listed["Of full precision"]["model-fp32.onnx"]
    assert len(archives(app)) == 1


def test_the_zip_holds_what_the_manifest_names() -> None:
    leaving = Leaving(shipped())
    made = deployment.exported(leaving, ["onnx"], deployment.USUAL, make=True)
    assert made is not None
    with zipfile.ZipFile(io.BytesIO(made.zipped)) as archive:
        names = {name.removeprefix(f"{leaving.name}/") for name in archive.namelist()}
        assert names == {"model.onnx", "manifest.json", "run_onnx.py"}
        manifest = json.loads(archive.read(f"{leaving.name}/manifest.json"))
        size = archive.getinfo(f"{leaving.name}/model.onnx").file_size
    assert [each["path"] for each in manifest["files"]] == ["model.onnx"]
    assert made.files == (("model.onnx", "onnx", size),)
    assert manifest["detector"] == shipped().spec.detector


def test_engines_are_judged_beside_the_simulation_and_its_own_noise(visit: Visit) -> None:
    app = visit("deploy", **HERE, **without("d_in_openvino"))
    app.button(key="d_check").click().run()
    assert errors(app) == []
    said = [each.value for each in (*app.success, *app.warning)]
    assert len(said) == 1 and said[0].startswith("onnxruntime keeps")
    found = table(app, "Promise")
    assert list(found[""]) == [SIMULATION, "onnxruntime"] and list(found["Promise"]) == ["promised", "kept"]
    assert len(app.get("plotly_chart")) == 2
    assert "other hardware differs" in notes(app)


def test_results_are_there_again_for_the_same_frames_alone(visit: Visit) -> None:
    given = {**HERE, **without("d_in_openvino")}
    app = visit("deploy", **given)
    if not app.dataframe:
        app.button(key="d_check").click().run()
    assert len(visit("deploy", **given).dataframe) == 1
    assert not visit("deploy", **{**given, "d_frames": "3"}).dataframe


def test_a_missing_package_is_said_engine_by_engine(
    visit: Visit, untaught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("deploy", **HERE)
    monkeypatch.setitem(sys.modules, "openvino", None)
    app.button(key="d_check").click().run()
    assert errors(app) == []
    assert any("openvino does not run it" in each.value and "pip install" in each.value for each in app.warning)
    assert dict(table(app, "Promise").set_index("")["Promise"])["openvino"] == "does not run"


def test_a_missing_package_of_a_format_is_an_error_with_the_next_step(
    visit: Visit, untaught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("deploy", **HERE)
    monkeypatch.setitem(sys.modules, "openvino", None)
    app.button(key="d_export").click().run()
    assert len(errors(app)) == 1 and "pip install" in errors(app)[0] and not app.exception


def test_a_run_that_is_not_done_says_to_let_it_finish(visit: Visit, run: RunFolder) -> None:
    run.update(status="stopped")
    app = visit("deploy", detector=first_detector(), run=run.name)
    app.button(key="d_export").click().run()
    assert len(errors(app)) == 1 and "not done: let it finish" in errors(app)[0] and not app.exception


def test_nothing_chosen_is_said(visit: Visit) -> None:
    app = visit("deploy", **HERE, **without(*(f"d_as_{name}" for name in EXPORTERS), *(f"d_in_{n}" for n in ENGINES)))
    app.button(key="d_export").click().run()
    assert "no format is given" in errors(app)[0]
    assert app.button(key="d_check").disabled


def test_a_detector_without_runs_is_calibrated_here(visit: Visit) -> None:
    app = visit("deploy", detector=DETECTOR)
    assert errors(app) == [] and link(app, "run") == f"{DETECTOR} here"


def test_choices_come_from_the_link(visit: Visit) -> None:
    given = {**HERE, "d_bits": "W8A8-qnn", "d_opset": "20", "d_batch": "dynamic", **without("d_as_openvino")}
    app = visit("deploy", **given)
    assert errors(app) == []
    assert app.selectbox(key="d_bits").value == "W8A8-qnn" and app.number_input(key="d_opset").value == 20
    assert not app.checkbox(key="d_as_openvino").value and app.checkbox(key="d_in_openvino").value
    app.selectbox(key="run choice").set_value(f"{DETECTOR} here").run()
    assert errors(app) == [] and link(app, "run") == f"{DETECTOR} here"


@pytest.mark.parametrize(
    ("given", "said"),
    [({"d_bits": "W8A8-nowhere"}, "nowhere"), ({"d_batch": "none"}, "batch"), ({"d_opset": "7"}, "7")],
)
def test_what_cannot_be_had_is_named(visit: Visit, given: dict[str, str], said: str) -> None:
    app = visit("deploy", **{**HERE, **given})
    if not errors(app):
        app.button(key="d_export").click().run()
    assert len(errors(app)) == 1 and said in errors(app)[0] and not app.exception


def test_a_run_that_is_gone_gives_way_to_another(visit: Visit, run: RunFolder) -> None:
    shutil.rmtree(run.path)
    app = visit("deploy", detector=first_detector(), run=run.name)
    assert errors(app) == [] and link(app, "run") == f"{first_detector()} here"
