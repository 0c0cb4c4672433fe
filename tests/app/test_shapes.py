"""Pictures of any shape: bounded in both directions, with lanes where they are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from app import session
from app.session import frame_of
from sfcore import drawing
from sfcore.colours import FULL, LABEL, rgb
from sfcore.datasets.images import find_images
from sfcore.drawing import SLIMMEST, Image, fitted
from sfcore.errors import InputError
from sfcore.inputs.images import Preprocessing
from sfcore.present.figures import clips
from sfcore.present.figures.captions import captioned
from sfcore.present.pictures import contact_sheet
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, preview
from sfcore.tasks.base import TASKS, Prediction
from tests.app.conftest import Visit, errors

ODD = ((1500, 4), (20000, 1), (1, 20000), (3, 5000), (1, 1), (2, 2))  # height, width
LANES = TASKS["lanes"]
READER = Preprocessing((32, 64), (0.5,) * 3, (0.5,) * 3)
PAGES = ("overview", "heads", "pixels", "curves", "tune", "compare", "runs")


def lanes(*at: float) -> Prediction:
    """Upright lanes on one image of 360 × 640 at these columns."""
    about = {"size": (360, 640), "rows": (40.0, 356.0, 80)}
    return LANES.restored([[[x, 356.0], [x, 40.0]] for x in at], about)


def grey(height: int, width: int) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((360, 640), (720, 1280)), ((590, 1640), (460, 1280)), ((1080, 1440), (960, 1280)), ((500, 500), (1280, 1280)),
        ((1920, 1080), (1280, 720)), ((1500, 4), (1280, 80)), ((20000, 1), (1280, 80)), ((1, 20000), (80, 1280)),
        ((3, 5000), (80, 1280)), ((1, 1), (1280, 1280)),
    ],
)  # fmt: skip
def test_a_canvas_keeps_its_aspect_as_long_as_it_is_no_sliver(shape: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert drawing.canvas(grey(*shape)).shape == (*drawn, 3)


@pytest.mark.parametrize("longest", [1, 7, 256, 1280])
def test_both_sides_of_a_fitted_picture_are_bounded(longest: int) -> None:
    for shape in ODD:
        height, width = fitted(grey(*shape), longest).shape[:2]
        assert max(height, width) == longest and min(height, width) >= longest / SLIMMEST


@pytest.mark.parametrize("shape", [(1500, 4), (1920, 1080), (3, 5000)])
def test_lanes_and_labels_stay_where_they_are_on_any_shape(shape: tuple[int, int]) -> None:
    canvas = drawing.canvas(grey(*shape))
    height, width = canvas.shape[:2]
    row = round(0.5 * height)
    drawn = LANES.draw(canvas, lanes(160.0, 480.0))[row]
    for share in (0.25, 0.75):
        assert tuple(drawn[round(share * width)]) == rgb(FULL)
    line = [np.array([[0.5 * shape[1], 0.0], [0.5 * shape[1], shape[0]]])]
    dashed = (
        np.abs(LANES.draw_labels(canvas, line, lanes(0.0).resized(shape))[:, width // 2].astype(int) - rgb(LABEL)).max(
            -1
        )
        < 30
    )
    assert dashed.any() and (drawn[0] == 90).all()


def test_lines_are_as_broad_on_a_tall_picture_as_on_a_wide_one() -> None:
    wide, tall = (LANES.draw(drawing.canvas(grey(*shape)), lanes(320.0)) for shape in ((1080, 1920), (1920, 1080)))
    broad = [(picture[picture.shape[0] // 2] == rgb(FULL)).all(-1).sum() for picture in (wide, tall)]
    assert broad[0] == broad[1] > 4


def test_marks_and_texts_are_drawn_on_slivers() -> None:
    before, after = lanes(200.0, 400.0), lanes(230.0)
    for shape in ODD:
        canvas = drawing.canvas(grey(*shape), 256)
        moved = LANES.draw_moved(canvas, before, after, LANES.distortion(before, after))
        pictures = (
            LANES.draw_names(moved, before), drawing.heat_over(canvas, np.eye(4), cut=0.46), captioned(canvas, "tuned"),
            drawing.mark_box(canvas, (0.0, 0.0, 1.0, 1.0)),
        )  # fmt: skip
        assert {picture.shape for picture in pictures} == {canvas.shape}


def test_sheets_are_no_larger_than_their_cells_allow() -> None:
    for shape in ODD:
        assert max(drawing.sheet([grey(*shape)] * 3, 2, 256).shape) <= 256
        assert max(contact_sheet([grey(*shape)] * 3, 2, 64).shape) <= 2 * (64 + 4)


def test_a_film_of_frames_of_several_shapes_shows_them_all() -> None:
    shapes = [(45, 81), (90, 81), (20, 300), (45, 81)]
    frames = [np.full((*shape, 3), 60 * place, np.uint8) for place, shape in enumerate(shapes, 1)]
    with tempfile.NamedTemporaryFile(suffix=".webm") as file:
        file.write(clips.webm(frames))
        file.flush()
        capture = cv2.VideoCapture(file.name)
        pictures = [picture for _ in range(6) for ok, picture in [capture.read()] if ok]
    assert [picture.shape for picture in pictures] == [(44, 80, 3)] * 4
    assert [int(picture[22, 40, 0]) for picture in pictures] == pytest.approx([60, 120, 180, 240], abs=12)
    assert pictures[1][22, 2].max() < 30 and pictures[2][4, 40].max() < 30  # black beside what does not fill


def test_the_preview_of_a_run_is_bounded_and_never_enlarged(tmp_path: Path) -> None:
    for place, (shape, kept) in enumerate((((20000, 1), (1280, 80)), ((1, 70000), (80, 1280)), ((40, 30), (40, 30)))):
        run = RunFolder.create(tmp_path / str(place), RunSpec("ganet-tiny", (), "W4A4", "netwise"))
        preview.begin(run, LANES, grey(*shape), lanes(320.0))
        preview.add(run, LANES, 0, lanes(320.0))
        found = preview.read(run, LANES)
        assert found and found.image.shape == (*kept, 3)


@pytest.mark.parametrize("top", [0.0, 0.46, 0.7, 1.0])
def test_any_shape_becomes_the_networks_input(top: float) -> None:
    prepare = Preprocessing((32, 64), (0.5,) * 3, (0.5,) * 3, "bgr", top)
    for shape in ODD:
        assert (prepare.stack([np.full((*shape, 3), (7, 8, 9), np.uint8)])[0].flatten(1).unique(dim=1) ==
                torch.tensor([[9], [8], [7]])).all()  # fmt: skip


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(0, 5, 3\)"):
        Preprocessing((32, 64), (0.5,) * 3, (0.5,) * 3).stack([grey(0, 5)])


@pytest.mark.parametrize("shape", [(1500, 4), (3, 5000), (1, 1)])
def test_every_page_shows_a_picture_of_any_shape(visit: Visit, tmp_path: Path, shape: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "odd.png"), grey(*shape))
    app = visit(images="Folder", folder=str(tmp_path), c_reruns="2")
    assert any("drawn broader" in caption.value for caption in app.caption) == (shape != (1, 1))
    for page in PAGES:
        app.switch_page(f"../pages/{page}.py").run()
        assert errors(app) == [], page
        assert app.main.get("image") or app.main.get("plotly_chart"), page


def first_two() -> list[tuple[Path, float]]:
    """Two of the sample scenes, each with when it was written."""
    return [(path, path.stat().st_mtime) for path in find_images([sample_data() / "scenes"])[:2]]


def test_an_image_is_kept_once_and_nobody_writes_to_it() -> None:
    one, other = first_two()
    image = frame_of(READER, *one)
    assert frame_of(READER, *other) is not image and frame_of(READER, *one) is image
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0


def test_two_large_images_are_not_kept_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = first_two()
    image = frame_of(READER, *one)
    monkeypatch.setattr(session, "LARGE_IMAGE", image.nbytes - 1)
    frame_of(READER, other[0], 0.0)  # read anew, whatever was read before
    assert frame_of(READER, *one) is not image and np.array_equal(frame_of(READER, *one), image)
