"""Compare: its pictures, its films, and numbers that are the engine's."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import calibration
from app.comparison import contenders
from app.session import KEY, first_detector
from sfcore.colours import CALIBRATED, FULL, MOVED
from sfcore.datasets.dataset import open_dataset
from sfcore.evaluation.evaluate import Evaluation, evaluate, predict
from sfcore.present.figures import clips, scores
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.runs.results import compare, load_model
from tests.app.conftest import Visit, errors

SCENES = sample_data() / "scenes"
HERE = f"{first_detector()} here"  # in a link: the first detector, quantized on the spot


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three of the sample scenes, named after scenarios; the last is made a crossroads without labelled lanes."""
    entries = json.loads((SCENES / "labels.json").read_text())[:3]
    for entry in entries:
        shutil.copy(SCENES / entry["file"], tmp_path)
        entry["scenario"] = Path(entry["file"]).stem[3:]
    entries[2] |= {"scenario": "cross", "lanes": []}
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return tmp_path


def texts(app: AppTest) -> list[str]:
    """What the page says in HTML of its own."""
    return [element.proto.body for element in app.get("html")]


def title(figure: str) -> str:
    return figure.upper() if len(figure) == 2 else figure.capitalize()


def engine(folder: Path, run: RunFolder, which: str) -> Evaluation:
    """What ``sfcore evaluate run`` says of a model."""
    dataset = open_dataset(folder)
    with tempfile.TemporaryDirectory() as out:
        filed = dataset.predictions(Path(out))
        assert not predict(load_model(run, which), dataset, filed)
        return evaluate(dataset, filed)


def test_the_numbers_are_the_engines(visit: Visit, run: RunFolder, few: Path) -> None:
    app = visit("compare", images="Folder", folder=str(few))
    assert errors(app) == []
    table = app.dataframe[0].value.set_index("Model")
    names = {"full precision": "full", "calibrated": "calibrated", "tuned": "tuned"}
    charts = [json.loads(chart.proto.spec)["data"] for chart in app.get("plotly_chart")]
    bars = next(chart for chart in charts if chart[0]["name"] in names)
    assert list(table.index) == [bar["name"] for bar in bars] == list(names)
    assert [bar["marker"]["color"] for bar in bars] == [FULL, CALIBRATED, MOVED]
    agreed = compare(run, [few])
    for bar, (name, which) in zip(bars, names.items(), strict=True):
        found = engine(few, run, which)
        for figure in ("f1", "precision", "recall", "tp", "fp", "fn"):
            assert table[title(figure)][name] == pytest.approx(found.total[figure])
        assert bar["x"] == ["total", *found.scenarios] == ["total", "curve", "normal", "cross"]
        figures = [found.total["f1"], found.scenarios["curve"]["f1"], found.scenarios["normal"]["f1"]]
        assert bar["y"][:3] == pytest.approx(figures) and bar["y"][3] is None
        if which != "full":
            assert table["Agreement"][name] == pytest.approx(getattr(agreed, which).f1)
            assert table["Distortion"][name] == pytest.approx(getattr(agreed, which).distortion)
    assert table["TP"]["full precision"] > 0
    false = engine(few, run, "full").scenarios["cross"]["fp"]
    assert any(
        f"cross has no lanes to find. Lanes found there all the same: {false:g} by full" in text for text in texts(app)
    )


def test_without_labels_full_precision_stands_in_for_them(visit: Visit, run: RunFolder, few: Path) -> None:
    (few / "labels.json").unlink()
    app = visit("compare", images="Folder", folder=str(few))
    assert errors(app) == []
    assert "F1" not in app.dataframe[0].value and "Agreement" in app.dataframe[0].value
    assert app.selectbox(key="order").options == ["distortion"] and not app.toggle


def test_frames_are_sorted_by_what_the_labels_say(visit: Visit, run: RunFolder, few: Path) -> None:
    app = visit("compare", images="Folder", folder=str(few), order="labels", right="full precision")
    assert errors(app) == []
    assert app.query_params["at"] == engine(few, run, "full").worst(1)[0]


def test_damaged_frames_are_listed_and_the_others_compared(visit: Visit, run: RunFolder, few: Path) -> None:
    broken = sorted(few.glob("*.jpg"))[1]
    broken.write_bytes(b"no image")
    app = visit("compare", images="Folder", folder=str(few))
    assert errors(app) == []
    listed = next(each for each in app.expander if "missing" in each.label).dataframe[0].value
    assert list(listed["Frame"]) == [broken.name] and "no image" in listed["Problem"][0]
    assert app.dataframe[0].value.set_index("Model").loc["full precision", "TP"] > 0


def test_two_runs_are_compared(visit: Visit, run: RunFolder, runs_folder: Path) -> None:
    shutil.copytree(run.path, runs_folder / "second")
    app = visit("compare", frames="2", run="first", against="second")
    assert errors(app) == []
    assert list(app.dataframe[0].value["Model"])[3:] == ["calibrated, run 2", "tuned, run 2"]
    assert (app.selectbox(key="left2").value, app.selectbox(key="right2").value) == ("tuned", "tuned, run 2")
    assert "first" not in app.selectbox(key="against").options


def test_who_has_a_run_may_quantize_here_too(visit: Visit, run: RunFolder) -> None:
    app = visit("compare")
    assert app.number_input(key="frames").value == 24
    choice = app.selectbox(key="run choice")
    assert choice.options == ["first", "quantize here"] and choice.value == "first"
    assert sides(app) == ("calibrated", "tuned")
    choice.set_value(HERE).run()
    assert errors(app) == [] and app.query_params["run"] == HERE
    assert list(app.dataframe[0].value["Model"]) == ["full precision", "calibrated"]
    assert sides(app) == ("full precision", "calibrated") and "calibrated just now" in app.info[0].value
    assert app.number_input(key="frames").value == 16  # it was calibrated on the others
    app.selectbox(key="run choice").set_value("first").run()
    assert errors(app) == [] and sides(app) == ("calibrated", "tuned") and app.query_params["run"] == "first"
    assert app.number_input(key="frames").value == 24 and "frames" not in app.query_params
    app.selectbox(key="run choice").set_value(HERE).run()
    app.selectbox(key="detector").set_value("lstr-tiny").run()
    app.selectbox(key="detector").set_value(first_detector()).run()
    assert app.selectbox(key="run choice").value == "first"  # of a detector that is chosen anew, its run


def sides(app: AppTest, run: str = "") -> tuple[str, str]:
    return str(app.selectbox(key=f"left{run}").value), str(app.selectbox(key=f"right{run}").value)


def test_links_to_what_is_quantized_here_show_it_where_there_are_runs(visit: Visit, run: RunFolder) -> None:
    for query in ({"run": HERE}, {"bits": "W4A4,heads=16"}, {"run": HERE, "bits": "W8A8"}):
        app = visit("compare", frames="2", **query)
        assert errors(app) == [] and app.selectbox(key="run choice").value == HERE, query
    app = visit("compare", frames="2", run="first", bits="W8A8")
    assert errors(app) == [] and app.selectbox(key="run choice").value == "first"


def test_any_scheme_is_quantized_here(visit: Visit, tmp_path: Path) -> None:
    file = tmp_path / "wide.json"
    file.write_text('{"format": 1, "scheme": "W3A4", "layers": {"heads": 16}}')
    distortion = {}
    for bits, name in (("W3A4-affine", "W3A4-affine"), ("w3a4", "W3A4"), (str(file), "`W3A4,heads=16`")):
        app = visit("compare", run=HERE, frames="4", bits=bits)
        assert errors(app) == [] and f"in {name}, calibrated just now" in app.info[0].value
        assert app.query_params["bits"] == bits
        distortion[bits] = app.dataframe[0].value["Distortion"][1]
    assert 0 < distortion[str(file)] < distortion["w3a4"] != distortion["W3A4-affine"]
    view = app.session_state[KEY]
    before = calibration.of(view, str(file))
    assert before == calibration.of(view, "W3A4,heads=16")
    file.write_text('{"format": 1, "scheme": "W3A4", "layers": {"heads": 8}}')
    assert calibration.of(view, str(file)) != before


@pytest.mark.parametrize(
    ("bits", "problem"),
    [
        ("W4X4", "'W4X4' is no scheme: write bits"),
        ("W0A4", "0 weight bits are not possible: choose 1 to 16"),
        ("W4A4,konv1=8", "gives bits to konv1, but no quantized layer is called so: choose another"),
        ("nowhere.json", "scheme file"),
    ],
)
def test_bits_that_cannot_be_had_are_said_and_the_page_stands(visit: Visit, bits: str, problem: str) -> None:
    app = visit("compare", run=HERE, frames="2", bits=bits)
    (said,) = errors(app)
    assert problem in said and said.endswith("Until then, below is W4A4.")
    assert "in W4A4, calibrated just now" in app.info[0].value and len(app.dataframe[0].value) == 2
    app.selectbox(key="bits").set_value("W8A8").run()
    assert errors(app) == [] and "in W8A8, calibrated just now" in app.info[0].value


def test_what_is_quantized_here_stands_beside_a_run(visit: Visit, run: RunFolder) -> None:
    app = visit("compare", run=HERE, against="first", frames="2", bits="W8A8")
    assert errors(app) == [] and sides(app, "2") == ("calibrated", "tuned, run 2")
    models = ["full precision", "calibrated", "calibrated, run 2", "tuned, run 2"]
    table = app.dataframe[0].value.set_index("Model")
    assert list(table.index) == models
    assert table["Distortion"]["calibrated"] < table["Distortion"]["calibrated, run 2"]  # in 4 bits
    app.selectbox(key="against").set_value("none").run()
    assert errors(app) == [] and sides(app) == ("full precision", "calibrated")


def test_a_link_names_the_view_and_views_take_turns(visit: Visit, run: RunFolder, few: Path) -> None:
    app = visit("compare", images="Folder", folder=str(few), view="Clip", clip="2")
    assert errors(app) == [] and len(app.get("video")) == 1
    for view in ("Slider", "Side by side", "Blink"):
        app.segmented_control(key="view").set_value(view).run()
        assert errors(app) == [] and not app.get("video")


def test_a_smaller_source_takes_fewer_frames(visit: Visit, run: RunFolder, few: Path) -> None:
    app = visit("compare", frames="6")
    app.segmented_control(key="images").set_value("Folder").run()
    app.text_input(key="folder").set_value(str(few)).run()
    assert errors(app) == [] and app.number_input(key="frames").value == 3


def test_a_second_runs_models_have_the_colours_of_the_firsts(run: RunFolder) -> None:
    colours = {model.name: model.colour for model in contenders(run, run)}
    assert colours["tuned"] == colours["tuned, run 2"] == MOVED and len(colours) == 5


def test_bars_of_a_second_run_are_hatched_and_what_means_nothing_has_no_bar() -> None:
    values = {"total": 0.5, "cross": None}
    figure = scores.by_scenario(
        [scores.Series("a", MOVED, values), scores.Series("a, run 2", MOVED, values, True)], "F1"
    )
    assert [bar.marker.pattern.shape for bar in figure.data] == [None, "/"]
    assert list(figure.data[0].y) == [0.5, None] and list(figure.data[0].text) == ["0.50", ""]


def test_a_film_has_all_frames_and_both_pictures() -> None:
    red, blue = (np.full((45, 81, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
    film = clips.webm(clips.beside(red, blue, "", "") for _ in range(7))
    with tempfile.NamedTemporaryFile(suffix=".webm") as file:
        file.write(film)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        pictures = [picture for _ in range(9) for ok, picture in [capture.read()] if ok]
    assert len(pictures) == 7 and pictures[0].shape == (44, 166, 3)
    left, right = pictures[3][30, 20, ::-1].astype(int), pictures[3][30, 120, ::-1].astype(int)
    assert left[0] > left[2] + 100 and right[2] > right[0] + 100


def test_an_engine_stands_beside_the_models(visit: Visit, run: RunFolder) -> None:
    app = visit("compare", frames="2", run=run.name)
    app.multiselect(key="engines").set_value(["onnxruntime"]).run()
    assert not errors(app)
    table = app.dataframe[0].value
    assert list(table["Model"]) == ["full precision", "calibrated", "tuned", "onnxruntime"]
    tuned, ran = (table[table["Model"] == name].iloc[0] for name in ("tuned", "onnxruntime"))
    assert ran["Agreement"] == pytest.approx(tuned["Agreement"], abs=0.1)
    assert (app.selectbox(key="left").value, app.selectbox(key="right").value) == ("tuned", "onnxruntime")
