"""Charts and maps hold the numbers that they were given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfcore.colours import HEADS, head_colour
from sfcore.detectors.base import Detector, Head, Preprocessing
from sfcore.present.figures import charts, curves, heads, maps, runs
from sfcore.sensitivity.curves import Curve, Curves
from sfcore.tasks.base import TASKS

PARTS = TASKS["lanes"].parts


def test_split_bars_stack_the_parts_of_each_lane() -> None:
    figure = charts.split_bars(
        ["Lane 1", "Lane 2"], PARTS, {"bend": [1.0, 0.5], "spike": [2.0, 0.0], "misalignment": [0.0, 4.0]}
    )
    assert [bar.name for bar in figure.data] == [part.name for part in PARTS]
    assert [a.text for a in figure.layout.annotations] == ["3.00", "4.50"]


def test_ranking_puts_the_most_sensitive_head_first_and_keeps_colours() -> None:
    figure = charts.ranking({"a": 1.0, "b": 3.0}, {"a": (0.5, 2.0), "b": (1.0, 4.0)}, ["a", "b"], chosen="a")
    bar = figure.data[0]
    assert list(bar.y) == ["b", "a"] and list(bar.marker.color) == [head_colour(1), head_colour(0)]
    assert list(bar.error_x.array) == [1.0, 1.0] and list(bar.error_x.arrayminus) == [2.0, 0.5]


def test_no_head_colour_means_something_else() -> None:
    assert not set(HEADS) & {part.colour for part in PARTS}


def test_curves_have_a_band_a_line_and_the_measured_points() -> None:
    noise = np.array([0.01, 0.1, 1.0])
    curve = Curve("kpts", noise, np.array([0.0, 1.0, 5.0]), np.array([0.0, 0.5, 4.0]), np.array([0.1, 2.0, 6.0]))
    figure = curves.noise_score(Curves({"kpts": curve}, {}), True, {"tuned": {"kpts": 0.1}})
    band, line, points, standing = figure.data
    assert list(band.x[:3]) == [1.0, 10.0, 100.0] and max(band.y) == 6.0
    assert line.name == "kpts" and list(points.y) == [0.0, 1.0, 5.0]
    assert list(standing.x) == [10.0] and standing.y[0] == pytest.approx(1.0)
    assert (
        figure.layout.xaxis.type == "log"
        and curves.noise_score(Curves({"kpts": curve}, {}), False).layout.xaxis.type == "linear"
    )


def test_selection_timeline_has_a_row_for_every_head() -> None:
    figure = runs.selection_timeline([(0, 10, ("a",)), (10, 30, ("a", "c"))], ["a", "b", "c"])
    assert [set(bar.y) for bar in figure.data] == [{"a"}, {"b"}, {"c"}]
    assert list(figure.data[2].base) == [10] and list(figure.data[2].x) == [20]
    assert list(figure.data[1].x) == [0]


def test_k_lambda_leaves_pairs_empty_that_were_not_run() -> None:
    figure = runs.k_lambda({(1, 2.0): 3.0, (2, 5.0): 1.0}, "distortion")
    assert [list(row) for row in figure.data[0].z] == [[3.0, None], [None, 1.0]]


def test_running_mean_of_a_constant_is_the_constant() -> None:
    figure = runs.losses((list(range(50)), [2.0] * 50))
    assert np.allclose(figure.data[1].y, 2.0)


class Grid(Detector):
    """A detector of one grid head at stride 8, with the upper half of the image cut off."""

    heads = (Head("heat", "confidence", ("heat",), ("logit",), "heat", "grid", 8),)
    preprocessing = Preprocessing((80, 160), (0.5,) * 3, (0.5,) * 3, top=0.5)


def test_a_click_takes_the_cell_under_it() -> None:
    shape = torch.Size((1, 1, 10, 20))
    mask = maps.picked_mask(Grid(), Grid.heads[0], shape, (0.26, 0.77, 0.26, 0.77))
    assert mask.nonzero().tolist() == [[0, 0, 5, 5]]


def test_a_rectangle_takes_the_cells_whose_centres_it_holds() -> None:
    shape = torch.Size((1, 1, 10, 20))
    mask = maps.picked_mask(Grid(), Grid.heads[0], shape, (0.0, 0.5, 0.5, 1.0))
    assert int(mask.sum()) == 100 and bool(mask[0, 0, :, :10].all())


def test_a_click_above_what_the_network_sees_takes_its_top_row() -> None:
    mask = maps.picked_mask(Grid(), Grid.heads[0], torch.Size((1, 1, 10, 20)), (0.5, 0.1, 0.5, 0.1))
    assert mask.nonzero().tolist() == [[0, 0, 0, 10]]


class Anchors(Detector):
    """Forty queries; the confidence of query i is i / 40. Three exist channels with confidences of their own."""

    heads = (
        Head("logits", "confidence", ("lane",), ("logit",), "logits", "query"),
        Head("offset", "semantics", tuple(f"x{i}" for i in range(30)), ("px",) * 30, "logits", "query"),
        Head("exists", "confidence", ("left", "middle", "right"), ("logit",) * 3, "exists", "image"),
    )

    def confidence(self, outputs, head):
        return outputs["exists"].sigmoid() if head == "exists" else torch.arange(40).view(1, 40, 1) / 40


def anchors() -> tuple[Anchors, dict[str, torch.Tensor]]:
    outputs = {"logits": torch.zeros(1, 40, 1), "offset": torch.zeros(1, 40, 30)}
    return Anchors(), outputs | {"exists": torch.tensor([[-4.0, 0.0, 4.0]])}


def test_a_table_of_many_queries_shows_the_confident_ones_and_says_so() -> None:
    detector, outputs = anchors()
    table = heads.query_table(detector, outputs, detector.head("offset"))
    assert table.count("<tr") == 1 + heads.MOST_ROWS
    assert "<td>40</td>" in table and "<td>31</td>" in table and "<td>30</td>" not in table
    assert "30 less confident ones are not shown" in table and "and 22 more" in table


def test_an_image_head_with_a_confidence_for_each_channel_has_a_row_for_each() -> None:
    detector, outputs = anchors()
    table = heads.query_table(detector, outputs, detector.head("exists"))
    assert [name in table for name in ("<td>left</td>", "<td>middle</td>", "<td>right</td>")] == [True] * 3
    assert "2 %" in table and "50 %" in table and "98 %" in table


def test_of_many_queries_the_sensitive_come_first_and_the_chosen_one_is_framed() -> None:
    detector, _ = anchors()
    sensitivity = torch.zeros(40, 30)
    sensitivity[20:] = torch.arange(20.0)[:, None]
    sensitivity[5] = float("nan")  # not measured
    figure = maps.element_cells(detector.head("offset"), sensitivity, torch.arange(40) / 50, chosen=3)
    assert list(figure.data[0].y) == [f"query {i + 1} · {2 * i} %" for i in (*range(39, 25, -1), 3)]
    assert figure.layout.shapes[0].y0 == maps.MOST_ROWS - 0.5


def test_one_cell_that_outweighs_all_others_does_not_hide_them() -> None:
    sensitivity = torch.full((1, 10, 20), 0.1)
    sensitivity[0, 0, 0], sensitivity[0, 9] = 100.0, 0.0
    assert maps.brightest(sensitivity) == pytest.approx(0.1)
    assert maps.brightest(sensitivity * 0) == 0.0
    picture = maps.element_picture(np.zeros((200, 200, 3), np.uint8), Grid(), sensitivity)
    assert picture[:100].max() == 0  # the network sees the lower half
    assert picture[150, 100].max() > 200 and picture[199, 100].max() == 0
