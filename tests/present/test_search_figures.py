"""Pictures of searches: where values lie, what trials look like, and what a click answers."""

from __future__ import annotations

import pytest

from sfcore.present.figures.searches import DONE, GOING, HOPELESS, Dimension, Tried, pairs, parallel

K = Dimension("k", ("1", "2", "3"))
LAM = Dimension("λ", (), 0.1, 10.0, True)
TRIALS = [
    Tried("s-000", (1, 0.1), 5.0, DONE), Tried("s-001", (2, 1.0), 3.0, DONE), Tried("s-002", (3, 10.0), 9.0, HOPELESS),
    Tried("s-003", (3, 1.0), 2.0, GOING),
]  # fmt: skip


def test_values_lie_between_the_ends_of_their_axis() -> None:
    assert [K.place(k) for k in (1, 2, 3)] == [0, 0.5, 1]
    assert [LAM.place(value) for value in (0.1, 1.0, 10)] == pytest.approx([0, 0.5, 1])
    assert Dimension("x", (), 0, 4).place(1) == 0.25 and Dimension("x", ("only",)).place("only") == 0.5
    assert [text for _, text in LAM.ticks()] == ["0.1", "0.316", "1", "3.16", "10"]


def test_a_line_a_trial_ends_at_its_distortion_and_the_best_stands_out() -> None:
    lines = {line.customdata[0]: line for line in parallel((K, LAM), TRIALS).data}
    assert list(lines["s-001"].y) == pytest.approx([0.5, 0.5, 1 / 7]) and lines["s-001"].line.width == 5
    assert {name: line.line.dash for name, line in lines.items()} == {
        "s-000": "solid", "s-001": "solid", "s-002": "dash", "s-003": "dot"
    }  # fmt: skip
    assert lines["s-002"].line.color == lines["s-003"].line.color != lines["s-000"].line.color
    assert "λ 1" in lines["s-001"].hovertemplate and "distortion 3.000, done" in lines["s-001"].hovertemplate


def test_points_answer_with_their_runs_and_those_that_are_not_done_have_no_colour() -> None:
    by_state = {each.name: each for each in pairs(LAM, K, TRIALS, (1, 0)).data}
    assert list(by_state[DONE].customdata) == ["s-000", "s-001"] and list(by_state[DONE].marker.color) == [5, 3]
    assert by_state[HOPELESS].marker.symbol == "x" and by_state[GOING].marker.symbol == "circle-open"
    assert list(by_state["least: 3.00"].x) == pytest.approx([0.5])


def test_a_grid_has_its_values_written_and_a_star_for_the_best() -> None:
    done = pairs(K, Dimension("bits", ("W4A4", "W8A8")), [Tried("a", (1, "W8A8"), 2.0, DONE)], (0, 1)).data[0]
    assert list(done.text) == ["★ 2.00"] and done.marker.symbol == "square" and list(done.y) == [1]


def test_nothing_tried_yet_is_drawn() -> None:
    assert len(parallel((K, LAM), []).data) == len(pairs(LAM, K, [], (1, 0)).data) == 0
