"""The Curves page: single images, which heads a selection takes, several detectors on one scale."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sfcore.present.figures.curves import LOWEST, noise_score, side_by_side
from sfcore.runs import RunFolder
from sfcore.sensitivity.curves import Curve, Curves
from tests.app.conftest import Visit, errors

NOISE = np.array([0.01, 0.1, 1.0])


def curves(top: float = 6.0, head: str = "kpts") -> Curves:
    """One head, two images: 0, 1, 5 on average."""
    images = np.array([[0.0, 0.0], [0.5, 1.5], [4.0, 6.0]])
    score = images.mean(1)
    return Curves({head: Curve(head, NOISE, score, images.min(1), np.array([0, 1.5, top]), {}, images)}, {})


def test_every_image_is_a_point_at_every_level() -> None:
    assert len(noise_score(curves()).data) == 3
    points = noise_score(curves(), logarithmic=False, images=["a.jpg", "b.jpg"]).data[1]
    assert list(points.y) == [0.0, 0.0, 0.5, 1.5, 4.0, 6.0]
    assert [tuple(row) for row in points.customdata[2:4]] == [("a.jpg", "10"), ("b.jpg", "10")]
    assert np.allclose(np.log10(points.x), np.repeat([0, 1, 2], 2), atol=0.05)


def test_selected_heads_are_ringed_where_their_model_stands() -> None:
    standing = {"calibrated": {"kpts": 0.1}, "tuned": {"kpts": 0.01}}
    figure = noise_score(curves(), True, standing, {"calibrated": ["kpts"], "tuned": []})
    found = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data[3:]}
    assert found["selected, calibrated"] == found["calibrated"] == ([10.0], [1.0])
    assert found["selected, tuned"] == ([], [])


def test_a_score_of_zero_stands_at_the_lower_end_of_a_logarithmic_axis() -> None:
    figure = noise_score(curves(), True, {"tuned": {"kpts": 0.01}})
    assert list(figure.data[-1].y) == [LOWEST] and figure.layout.yaxis.range[0] == np.log10(LOWEST)
    assert list(noise_score(curves(), False, {"tuned": {"kpts": 0.01}}).data[-1].y) == [0.0]


def test_detectors_side_by_side_share_their_axes_and_have_their_own_legends() -> None:
    figure = side_by_side({"one": curves(), "two": curves(90.0, "own"), "three": curves(), "four": curves()}, False)
    assert [title.text for title in figure.layout.annotations] == ["one", "two", "three", "four"]
    axes = [figure.layout[name] for name in figure.layout if name.startswith("yaxis")]
    assert len(axes) == 4 and all(axis.range == pytest.approx((0, 1.05 * 90)) for axis in axes)
    named = {trace.name: (trace.yaxis, trace.legend) for trace in figure.data if trace.name == "own"}
    assert named == {"own": ("y2", "legend3")}


@pytest.mark.parametrize("k", [1, 3])
def test_the_page_says_which_heads_k_selects(visit: Visit, run: RunFolder, k: int) -> None:
    app = visit("curves", c_images="2", c_reruns="2", c_run=run.name, c_k=str(k))
    assert errors(app) == []
    table = app.dataframe[0].value
    for model in ("calibrated", "tuned"):
        (said,) = (text.value for text in app.markdown if text.value.startswith(f"At the noise of the **{model}**"))
        heads = re.findall(r"\*\*(\w+)\*\* \(distortion", said)
        assert len(heads) == k and f"k = {k}" in said
        worst = table[f"distortion, {model}"].sort_values(ascending=False)
        assert sorted(worst[heads], reverse=True) == list(worst[:k])


def test_k_begins_with_that_of_the_run(visit: Visit, run: RunFolder) -> None:
    run.update(spec=run.spec.to_dict() | {"options": {"k": 3}})
    assert visit("curves", c_images="2", c_reruns="2", c_run=run.name).slider(key="c_k").value == 3


def test_other_detectors_are_measured_beside_the_chosen_one(visit: Visit) -> None:
    app = visit("curves", c_images="1", c_reruns="1", c_levels="2")
    assert app.session_state["detector"] not in app.multiselect(key="c_others").options
    assert len(app.get("plotly_chart")) == 1
    app.multiselect(key="c_others").set_value(["lstr-tiny"]).run()
    assert errors(app) == [] and len(app.get("plotly_chart")) == 2
