"""KITTI's calibrations and objects: from the camera's frame to the scanner's, by hand, there and back, and damaged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfcore.colours import FULL, OBJECTS, rgb
from sfcore.datasets.kitti import parse_objects, read_calibration, read_objects
from sfcore.datasets.kitti.calibration import Calibration
from sfcore.datasets.kitti.camera import draw_on_camera, projected
from sfcore.datasets.kitti.objects import without_size, written
from sfcore.errors import InputError
from tests.datasets.kitti_cases import CALIBRATION, CAR, DONT_CARE, WALKER


@pytest.fixture
def plain(tmp_path: Path) -> Calibration:
    return calibrated(tmp_path, CALIBRATION)


def calibrated(folder: Path, text: str) -> Calibration:
    (folder / "calib.txt").write_text(text)
    return read_calibration(folder / "calib.txt")


def tilted() -> Calibration:
    """A camera that stands aside of the scanner and looks a little down and to the left."""
    cos, sin = math.cos(0.03), math.sin(0.03)
    axes = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    about_x, about_y = (
        np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]),
        np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]),
    )
    return Calibration(
        np.array([[700.0, 0, 600, 40], [0, 700, 180, 0.2], [0, 0, 1, 0.003]]),
        about_x @ about_y @ axes,
        np.array([0.1, -0.2, -0.3]),
    )


def test_a_label_becomes_a_box_of_the_scanners_frame(plain: Calibration) -> None:
    found = parse_objects(f"{CAR}\n{DONT_CARE}\n{WALKER}\n", plain, Path("a.txt"))
    car, walker = found.boxes
    # The middle is half the height above the bottom; the length lies along the heading, to the right: -y.
    assert car == pytest.approx([20, 5, -1.7 + 0.75, 4.0, 1.6, 1.5, -math.pi / 2])
    assert [*walker[:6], abs(walker[6])] == pytest.approx([10, 0, -1.7 + 0.9, 0.8, 0.6, 1.8, math.pi])
    assert found.kinds == ("Car", "Pedestrian") and found.labels.tolist() == [0, 1]
    assert (found.truncated.tolist(), found.occluded.tolist()) == ([0.0, 0.2], [0, 1])
    assert found.heights.tolist() == pytest.approx([53.83, 40.0]) and found.scores.tolist() == [1.0, 1.0]


def test_detections_have_a_score_and_every_kind_has_a_class(plain: Calibration) -> None:
    kinds = ("Car", "Van", "Truck", "Tram", "Pedestrian", "Person_sitting", "Cyclist")
    lines = [CAR.replace("Car", kind) + f" 0.{place}" for place, kind in enumerate(kinds, 1)]
    found = parse_objects("\n".join([*lines, CAR.replace("Car", "Misc")]), plain, Path("a.txt"))
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert found.scores.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert len(parse_objects("", plain, Path("a.txt")).boxes) == 0


def test_objects_of_boxes_are_those_that_the_boxes_were_made_of() -> None:
    draw = np.random.default_rng(0)
    location = draw.uniform([-10, 0, 5], [10, 2, 60], (50, 3))
    size, turned = draw.uniform(0.4, 5, (50, 3)), draw.uniform(-math.pi, math.pi, 50)
    camera = tilted()
    boxes = camera.boxes_of(location, size, turned)
    again = camera.objects_of(boxes)
    assert np.allclose(again[0], location) and np.allclose(again[1], size)
    assert np.abs(np.angle(np.exp(1j * (again[2] - turned)))).max() < 2e-3  # the tilt of the camera tips the heading
    points = draw.uniform(-20, 20, (9, 3))
    assert np.allclose(camera.to_sensor(camera.to_camera(points)), points)


def test_a_box_covers_the_image_where_its_corners_fall(plain: Calibration) -> None:
    found = parse_objects(CAR, plain, Path("a.txt"))
    near, far, top, bottom = 20 - 0.8, 20 + 0.8, 1.7 - 1.5, 1.7
    expected = [600 - 7 * 700 / near, 180 + top * 700 / far, 600 - 3 * 700 / far, 180 + bottom * 700 / near]
    assert plain.image_boxes(found.boxes, (375, 1242))[0] == pytest.approx(expected)
    clipped = plain.image_boxes(found.boxes, (220, 400))[0]
    assert clipped == pytest.approx([expected[0], expected[1], 399, 219])


@pytest.mark.parametrize("place", [(-20.0, 5.0), (20.0, 60.0)])
def test_what_is_out_of_the_cameras_sight_covers_nothing(plain: Calibration, place: tuple[float, float]) -> None:
    left, top, right, bottom = plain.image_boxes(np.array([[*place, -1, 4, 1.6, 1.5, 0.3]]), (375, 1242))[0]
    assert (right - left) * (bottom - top) == 0


def test_boxes_are_drawn_where_they_are_projected(plain: Calibration) -> None:
    boxes = parse_objects(f"{CAR}\n{WALKER}", plain, Path("a.txt")).boxes
    image = np.full((375, 1242, 3), 90, np.uint8)
    picture = draw_on_camera(image, boxes, plain, [OBJECTS[0], OBJECTS[1]])
    assert (image == 90).all()
    for edges, colour in zip(projected(boxes, plain), OBJECTS, strict=False):
        middle = edges[4].mean(0).round().astype(int)  # of an edge at the top
        near = picture[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2].astype(int)
        assert (np.abs(near - rgb(colour)).max(-1) < 60).any()
    half = draw_on_camera(image[:188, :621], boxes, plain, size=(375, 1242))
    assert (np.abs(half.astype(int) - rgb(FULL)).max(-1) < 25).any()


def test_a_box_beside_the_camera_is_cut_and_one_behind_it_left_out(plain: Calibration) -> None:
    beside, behind = projected(np.array([[0.0, 3, -1, 4, 1.6, 1.5, 0], [-9, 3, -1, 4, 1.6, 1.5, 0]]), plain)
    assert 0 < len(beside) < 14 and all(np.isfinite(edge).all() for edge in beside)
    assert behind == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no P2, R0_rect, Tr_velo_to_cam"),
        (CALIBRATION.replace("Tr_velo_to_cam", "Tr"), "has no Tr_velo_to_cam"),
        (CALIBRATION.replace("R0_rect: 1 0", "R0_rect: 1"), "R0_rect of .* has 8 numbers, not 9"),
        (CALIBRATION.replace("700", "nan"), "P2 of .* is damaged: 'nan' is no number"),
        (CALIBRATION.replace("R0_rect: 1", "R0_rect: 0"), "cannot be inverted"),
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        calibrated(tmp_path, text)


def test_a_missing_calibration_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"000007\.txt"):
        read_calibration(tmp_path / "000007.txt")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (CAR.replace("Car", "Kart"), "line 1 of a.txt has an object 'Kart': it must be one of Car, Van"),
        (CAR.replace(" 20 ", " "), "has 13 numbers after its type: it must have 14"),
        (CAR.replace(" 20 ", " 2e99 "), "2e.99 is neither pixels nor metres"),
        (CAR.replace(" 20 ", " inf "), "line 1 of a.txt is damaged: 'inf' is no number"),
    ],
)
def test_a_damaged_label_is_refused(plain: Calibration, line: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_objects(line, plain, Path("a.txt"))


def test_boxes_of_no_size_are_named_and_left_out(plain: Calibration, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"{DONT_CARE}\n{WALKER}\n{CAR.replace('1.5 1.6 4.0', '1.5 0 4.0')}")
    assert read_objects(file, plain).kinds == ("Pedestrian",)
    assert without_size(file) == [f"line 3 of {file}: a Car of 1.5 × 0 × 4 m has no size; mend or remove it"]
    assert without_size(tmp_path / "missing.txt") == []


def test_detections_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    draw, camera = np.random.default_rng(1), tilted()
    boxes = draw.uniform([5, -9, -2, 0.4, 0.4, 0.4, -3], [60, 9, 1, 5, 3, 3, 3], (20, 7))
    objects = np.concatenate([boxes, draw.integers(0, 3, (20, 1)), draw.random((20, 1))], 1)
    text = written(objects, camera, (375, 1242))
    found = parse_objects(text, camera, tmp_path)
    assert np.allclose(found.boxes[:, :6], boxes[:, :6], atol=1e-3) and np.allclose(
        found.scores, objects[:, 8], atol=1e-5
    )
    assert np.abs(np.angle(np.exp(1j * (found.boxes[:, 6] - boxes[:, 6])))).max() < 3e-3
    assert found.labels.tolist() == objects[:, 7].tolist()
    assert set(found.kinds) == {"Car", "Pedestrian", "Cyclist"}
    assert written(objects[:0], camera, (375, 1242)) == ""


HARM = st.sampled_from(["", " ", "\n", "-", "9e99", "nan", "1e-9", "0", "\x00", "é", "Car"])


@settings(max_examples=60, deadline=None)
@given(label=st.booleans(), at=st.integers(0, 200), length=st.integers(0, 12), harm=HARM)
def test_damaged_files_are_read_as_finite_boxes_or_refused(
    label: bool, at: int, length: int, harm: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, texts = tmp_path_factory.mktemp("damaged"), [CALIBRATION, f"{CAR}\n{DONT_CARE}\n{WALKER}\n"]
    texts[label] = texts[label][:at] + harm + texts[label][at + length :]
    (folder / "calib.txt").write_text(texts[0])
    (folder / "label.txt").write_text(texts[1])
    try:
        camera = read_calibration(folder / "calib.txt")
        found = read_objects(folder / "label.txt", camera)
    except InputError:
        return
    assert np.isfinite(found.boxes).all() and (found.boxes[:, 3:6] > 0).all()
    sides = camera.image_boxes(found.boxes, (375, 1242))
    assert np.isfinite(sides).all() and all(np.isfinite(each).all() for each in projected(found.boxes, camera))
