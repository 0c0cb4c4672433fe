"""Lanes over the road: stretches by what happened, names, copies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from sfcore import drawing as generic
from sfcore.colours import FULL, LABEL, OBJECTS, rgb
from sfcore.tasks.lanes import Lanes, distortion, drawing

ROWS = torch.arange(40, 360, 4, dtype=torch.float32)


def lanes(*columns: torch.Tensor) -> Lanes:
    """One image of 360 × 640 with these lanes, each a column for each row."""
    return Lanes(torch.stack(columns)[None], torch.ones(1, len(columns)), ROWS, (360, 640))


def straight(x: float) -> torch.Tensor:
    return torch.full((len(ROWS),), x)


def kinds(before: Lanes, after: Lanes) -> list[tuple[str, bool]]:
    return [(s.kind, s.lost) for s in drawing.stretches(before, after, distortion(before, after))]


def test_an_unmoved_lane_is_one_stretch_in_place() -> None:
    before = lanes(straight(200.0))
    found = drawing.stretches(before, before, distortion(before, before))
    assert [(s.kind, s.lost) for s in found] == [("in place", False)]
    assert np.allclose(found[0].points[:, 0], 200) and len(found[0].points) == len(ROWS)


def test_a_shifted_lane_bends_at_its_ends_and_spikes_between() -> None:
    assert kinds(lanes(straight(200.0)), lanes(straight(204.0))) == [("bend", False), ("spike", False), ("bend", False)]


def test_neighbouring_stretches_share_their_border() -> None:
    before, after = lanes(straight(200.0)), lanes(straight(204.0))
    found = drawing.stretches(before, after, distortion(before, after))
    assert all(np.array_equal(a.points[-1], b.points[0]) for a, b in pairwise(found))


def test_a_missing_end_is_lost_and_a_new_one_is_misaligned() -> None:
    long, short = straight(200.0), straight(200.0)
    short[:20] = float("nan")
    assert kinds(lanes(long), lanes(short)) == [("in place", False), ("misalignment", True)]
    assert kinds(lanes(short), lanes(long)) == [("misalignment", False), ("in place", False)]


def test_lanes_without_a_partner() -> None:
    assert sorted(kinds(lanes(straight(100.0)), lanes(straight(400.0)))) == [
        ("misalignment", False),
        ("misalignment", True),
    ]


def test_names_run_from_left_to_right_at_the_bottom() -> None:
    leaning = torch.linspace(300, 500, len(ROWS))
    found = drawing.lane_names(lanes(leaning, straight(320.0), straight(40.0)))
    assert found == {2: "Lane 1", 1: "Lane 2", 0: "Lane 3"}


@pytest.fixture
def image() -> np.ndarray:
    return np.full((360, 640, 3), 90, np.uint8)


def test_drawing_leaves_the_given_image_alone(image: np.ndarray) -> None:
    before, after = lanes(straight(200.0)), lanes(straight(230.0))
    kept = image.copy()
    drawing.draw_lanes(image, before)
    drawing.name_lanes(drawing.draw_moved(image, before, after, distortion(before, after)), before)
    generic.heat_over(image, np.eye(8))
    generic.mark_box(image, (0.1, 0.1, 0.5, 0.5))
    assert np.array_equal(image, kept)


def test_lanes_are_drawn_where_they_are(image: np.ndarray) -> None:
    picture = drawing.draw_lanes(generic.canvas(image, 1280), lanes(straight(200.0)))
    assert tuple(picture[400, 400]) == rgb(FULL)
    assert tuple(picture[400, 500]) == (90, 90, 90)


def test_a_spike_has_the_colour_of_spikes(image: np.ndarray) -> None:
    before, after = lanes(straight(200.0)), lanes(straight(208.0))
    picture = drawing.draw_moved(generic.canvas(image, 1280), before, after, distortion(before, after))
    assert tuple(picture[400, 416]) == rgb(drawing.COLOURS["spike"])


def test_heat_ignores_what_is_not_finite(image: np.ndarray) -> None:
    values = np.zeros((4, 8))
    values[0, 0], values[3, 7] = np.nan, 1.0
    picture = generic.heat_over(image, values)
    assert picture[-1, -1].max() > picture[0, 0].max()


def test_encoding_keeps_colours(image: np.ndarray) -> None:
    import cv2

    image[:, :320] = (200, 30, 60)
    back = cv2.imdecode(np.frombuffer(generic.png(image), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.array_equal(back, image)
    assert generic.jpeg(image)[:2] == b"\xff\xd8"


def test_lanes_are_drawn_where_they_are_on_a_copy() -> None:
    image = np.full((100, 200, 3), 128, np.uint8)
    picture = drawing.draw_each(image, [np.array([[50.0, 99.0], [50.0, 0.0]]), np.array([[150.0, 99.0], [150.0, 0.0]])])
    assert (image == 128).all()
    assert [tuple(picture[50, x]) for x in (50, 150)] == [rgb(OBJECTS[0]), rgb(OBJECTS[1])]
    assert (picture[:, [20, 100, 180]] == 128).all()


def test_dashes_cover_their_share_of_a_lane_that_turns() -> None:
    line = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 50.0]])
    pieces = list(generic.dashes(line, 10, 6))
    lengths = [np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in pieces]
    assert lengths == pytest.approx([10.0] * 5)
    assert pieces[1][0].tolist() == [16, 0] and pieces[1][-1].tolist() == [26, 0]
    assert pieces[2].tolist() == [[30, 2], [30, 12]]


def test_labels_are_drawn_dashed_where_they_are() -> None:
    image = np.full((720, 1280, 3), 90, np.uint8)
    picture = drawing.draw_labels(image, [np.array([[250.0, 0.0], [250.0, 359.0]])], (360, 640))
    yellow = np.abs(picture[:, 500].astype(int) - rgb(LABEL)).max(-1) < 30
    share = drawing.DASH / (drawing.DASH + drawing.GAP)
    assert yellow.mean() == pytest.approx(share, abs=0.1) and (image == 90).all()
    assert not (picture[:, 520] != 90).any()
