"""Static pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sfcore.present.pictures import COLOURS, draw_lanes, save_png


def test_lanes_are_drawn_where_they_are_on_a_copy() -> None:
    image = np.full((100, 200, 3), 128, np.uint8)
    picture = draw_lanes(image, [np.array([[50.0, 99.0], [50.0, 0.0]]), np.array([[150.0, 99.0], [150.0, 0.0]])])
    assert (image == 128).all()
    assert [tuple(picture[50, x]) for x in (50, 150)] == [COLOURS[0], COLOURS[1]]
    assert (picture[:, [20, 100, 180]] == 128).all()


def test_pictures_keep_their_colours_on_disk(tmp_path: Path) -> None:
    image = np.full((4, 5, 3), (200, 30, 90), np.uint8)
    save_png(tmp_path / "a.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image)
