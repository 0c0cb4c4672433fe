"""Boxes of rendered vehicles: where the geometry says, and only of what is seen."""

from __future__ import annotations

import numpy as np
import pytest

from sfcore.datasets.scenes import NAMES, render
from sfcore.datasets.scenes.geometry import Camera, Course, View
from sfcore.datasets.scenes.sightings import LEAST_SEEN, SMALLEST, Sightings
from sfcore.datasets.scenes.vehicles import Vehicle

LEVEL = View(Camera(focal=500, cx=319.5, cy=179.5, height=1.5, pitch=0.0), Course(), (360, 640))


def car(s: float, z: float, kind: str = "sedan") -> Vehicle:
    return Vehicle(kind, s, z, (200, 0, 0))


def boxes(*cars: Vehicle) -> np.ndarray:
    seen = Sightings(LEVEL)
    for each in cars:
        seen.add(each)
    return seen.boxes()


def test_a_box_by_hand() -> None:
    """A truck 20 m ahead, 2.5 m wide and 3.5 m high, seen from 1.5 m: a metre is 25 px at its near end."""
    [box] = boxes(car(0, 20, "truck"))
    np.testing.assert_allclose(box[:4], [320 - 1.25 * 25, 180 - 2 * 25, 320 + 1.25 * 25, 180 + 1.5 * 25], atol=1.3)
    assert NAMES[int(box[4])] == "truck" and NAMES[int(boxes(car(0, 20, "van"))[0, 4])] == "car"


def test_a_box_ends_where_the_image_does() -> None:
    [box] = boxes(car(-4, 5))
    assert box[0] == 0 and box[2] < 320 and 0 <= box[1] < box[3] <= 360
    assert len(boxes(car(-40, 5))) == 0


def test_what_another_vehicle_hides_is_left_out() -> None:
    far, near = car(0.2, 30), car(0, 12, "van")
    assert len(boxes(far)) == 1 and len(boxes(far, near)) == 1
    assert len(boxes(car(4.0, 30), near)) == 2  # beside it


def test_what_the_roadside_hides_is_left_out_and_half_hidden_is_kept_whole() -> None:
    image = np.zeros((360, 640, 3), np.uint8)
    for share, count in ((LEAST_SEEN - 0.1, 0), (0.6, 1)):
        seen = Sightings(LEVEL)
        seen.add(car(0, 20))
        [box] = seen.boxes()
        with seen.behind(image):
            image[round(box[1] + share * (box[3] - box[1])) :] = 255
        image[:] = 0  # what is drawn later hides nothing
        assert len(seen.boxes()) == count
        if count:
            np.testing.assert_array_equal(seen.boxes(), [box])


def test_small_boxes_are_left_out() -> None:
    """A sedan is 1.45 m high and 8 px are 1.6 cm of a metre's 500 px: beyond about 90 m it is too small."""
    assert len(boxes(car(0, 80))) == 1 and len(boxes(car(0, 100))) == 0


@pytest.mark.parametrize("size", [(360, 640), (180, 320)])
def test_scenes_have_boxes_in_the_image_that_scale_with_it(size: tuple[int, int]) -> None:
    scenes = [render(seed, size=size) for seed in range(800_000, 800_012)]
    found = np.concatenate([scene.boxes for scene in scenes])
    low, high = found[:, :2], found[:, 2:4]
    assert len(found) > 20 and (low >= 0).all() and (high <= size[::-1]).all()
    assert (high - low).min() >= SMALLEST * size[1]
    whole = [render(seed).boxes for seed in range(800_000, 800_012)]
    scale = 640 / size[1]
    for scene, other in zip(scenes, whole, strict=True):
        for box in scene.boxes:  # a few appear or vanish at the limits
            assert len(other) == 0 or np.abs(other[:, :4] - box[:4] * scale).max(1).min() < 6
