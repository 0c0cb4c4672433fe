"""Boxes over the bird's-eye view: x to the right, y up, the heading shown, coloured by what happened."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sfcore.colours import FULL, LABEL, MOVED, OBJECTS, rgb
from sfcore.drawing import Image
from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes3d import Boxes3d
from sfcore.tasks.boxes3d.drawing import on_canvas, outline

TASK = TASKS["boxes3d"]
EXTENT = (0.0, -20.0, 64.0, 20.0)
GREY = np.full((800, 1280, 3), 90, np.uint8)  # 20 px a metre


def boxes(*given: tuple[float, ...]) -> Boxes3d:
    """Boxes of one frame by x, y and yaw, 4 m long and 2 m wide."""
    rows = [np.array([x, y, 0, 4, 2, 1.5, yaw, 0, 0.9]) for x, y, yaw in given]
    return Boxes3d.from_objects([rows], ("vehicle",), EXTENT)


def is_colour(picture: Image, x: float, y: float, colour: str) -> bool:
    """Whether the picture has a colour within two pixels of a place on the ground."""
    column, row = round(20 * x), round(20 * (20 - y))
    near = picture[row - 2 : row + 3, column - 2 : column + 3].astype(int)
    return bool((np.abs(near - rgb(colour)).max(-1) < 25).any())


def part(name: str) -> str:
    return next(each.colour for each in TASK.parts if each.name == name)


def test_the_ground_lies_with_y_up() -> None:
    corners = np.array([[0.0, 20.0], [64.0, -20.0], [16.0, 10.0]])
    assert on_canvas(corners, EXTENT, GREY).tolist() == [[0, 0], [1280, 800], [320, 200]]
    assert on_canvas(corners, EXTENT, GREY[:200, :320]).tolist() == [[0, 0], [320, 200], [80, 50]]


def test_an_outline_goes_once_around_and_shows_the_heading() -> None:
    line = outline(np.array([10.0, 5.0, 0.0, 4.0, 2.0, 1.5, math.pi / 2]))
    expected = [[10, 8.4], [10, 7], [9, 7], [9, 3], [11, 3], [11, 7], [10, 7]]
    assert np.allclose(line, expected, atol=1e-6)


def test_boxes_are_drawn_on_their_sides_on_a_copy() -> None:
    picture = TASK.draw(GREY, boxes((30, 10, math.pi / 2)))
    assert (GREY == 90).all()
    assert all(is_colour(picture, *at, FULL) for at in [(29, 10), (31, 10), (30, 8), (30, 12), (30, 13.2)])
    assert not is_colour(picture, 30, 6.8, FULL)  # nothing behind it


def test_boxes_are_coloured_by_what_happened() -> None:
    before = boxes((10, 0, 0), (20, 0, 0), (30, 0, 0), (40, 0, 0))
    after = boxes((10, 0, 0), (20, 0.5, 0), (30, 0, math.pi), (40, 12, 0))
    moved = TASK.distortion(before, after)
    picture = TASK.draw_moved(GREY, before, after, moved)
    assert is_colour(picture, 10, 1, MOVED)
    assert is_colour(picture, 20, 1.5, part("shift"))
    assert is_colour(picture, 28 - 1.2, 0, part("stretch"))  # its heading, the wrong way
    assert is_colour(picture, 40, 13, part("misalignment"))
    assert is_colour(picture, 42, 0, part("misalignment")) or is_colour(picture, 42, 1, part("misalignment"))


def test_each_box_has_a_colour_of_its_own_and_names_are_written() -> None:
    two = boxes((10, 0, 0), (20, 0, 0))
    picture = TASK.draw_each(GREY, two)
    assert is_colour(picture, 9, -1, OBJECTS[0]) and is_colour(picture, 19, -1, OBJECTS[1])
    assert (TASK.draw_names(GREY, two) != GREY).any()


def test_labels_are_dashed_where_they_are() -> None:
    label = np.array([30, 0, 0, 40, 10, 2, 0, 0, 1])
    picture = TASK.draw_labels(GREY, [label], boxes())
    side = np.abs(picture[300, 200:1000].astype(int) - rgb(LABEL)).max(-1) < 40  # y = 5, x from 10 to 50
    assert 0.35 < side.mean() < 0.75 and (GREY == 90).all()


@pytest.mark.parametrize("draw", [TASK.draw, TASK.draw_each, TASK.draw_names])
def test_nothing_is_drawn_where_nothing_is(draw) -> None:
    assert (draw(GREY, boxes()) == 90).all()
