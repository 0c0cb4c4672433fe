"""Boxes over a picture: where they are, coloured by what happened, on a copy."""

from __future__ import annotations

import numpy as np
import pytest

from sfcore.colours import FULL, LABEL, MOVED, OBJECTS, rgb
from sfcore.drawing import Image
from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes2d import Boxes2d

TASK = TASKS["boxes2d"]
GREY = np.full((720, 1280, 3), 90, np.uint8)


def boxes(*given: tuple[float, float, float, float]) -> Boxes2d:
    """Boxes of one frame of 360 × 640, half of the picture's."""
    return Boxes2d.from_objects([[np.array([*each, 0, 0.9]) for each in given]], ("car",), (360, 640))


def is_colour(picture: Image, x: float, y: float, colour: str) -> bool:
    """Whether the picture has a colour within two pixels of a place in the boxes' frame."""
    column, row = round(2 * x), round(2 * y)
    near = picture[row - 2 : row + 3, column - 2 : column + 3].astype(int)
    return bool((np.abs(near - rgb(colour)).max(-1) < 25).any())


def part(name: str) -> str:
    return next(each.colour for each in TASK.parts if each.name == name)


def test_boxes_are_drawn_on_their_sides_on_a_copy() -> None:
    picture = TASK.draw(GREY, boxes((100, 100, 200, 160)))
    assert (GREY == 90).all()
    assert all(is_colour(picture, *at, FULL) for at in [(100, 130), (200, 130), (150, 100), (150, 160)])
    assert (picture[2 * 130, 2 * 150] == 90).all()


def test_each_box_has_a_colour_of_its_own() -> None:
    picture = TASK.draw_each(GREY, boxes((100, 100, 200, 160), (300, 100, 400, 160)))
    assert is_colour(picture, 100, 150, OBJECTS[0]) and is_colour(picture, 300, 150, OBJECTS[1])


def test_boxes_are_coloured_by_what_happened() -> None:
    before = boxes((50, 50, 100, 100), (150, 50, 250, 150), (300, 50, 400, 150), (450, 50, 550, 150))
    after = boxes((50, 50, 100, 100), (170, 50, 270, 150), (280, 30, 420, 170), (450, 250, 550, 350))
    moved = TASK.distortion(before, after)
    picture = TASK.draw_moved(GREY, before, after, moved)
    assert is_colour(picture, 50, 75, MOVED)
    assert is_colour(picture, 270, 100, part("shift"))
    assert is_colour(picture, 420, 100, part("stretch"))
    assert is_colour(picture, 550, 300, part("misalignment"))  # invented
    assert is_colour(picture, 450, 50, part("misalignment"))  # lost: dotted from its corner on
    wide = TASK.draw_moved(GREY, before, after, moved, tolerance=50.0)
    assert is_colour(wide, 270, 100, MOVED) and is_colour(wide, 420, 100, MOVED)


def test_labels_are_dashed_where_they_are() -> None:
    picture = TASK.draw_labels(GREY, [np.array([100.0, 100, 500, 300, 0, 1])], boxes())
    side = np.abs(picture[2 * 100, 200:1000].astype(int) - rgb(LABEL)).max(-1) < 40
    assert 0.35 < side.mean() < 0.75 and (GREY == 90).all()


def test_names_stay_in_the_picture() -> None:
    picture = TASK.draw_names(GREY, boxes((100, 0, 200, 160)))
    assert (picture[:40, 250:350] != 90).any()


@pytest.mark.parametrize("draw", [TASK.draw, TASK.draw_each, TASK.draw_names])
def test_nothing_is_drawn_where_nothing_is(draw) -> None:
    assert (draw(GREY, boxes()) == 90).all()
