"""CULane's metric: worked out by hand, and count for count against the official tool.

``recorded/culane.npz`` holds what ``tools/lane_evaluation`` of XingangPan/SCNN counted in the frames of
``culane_cases.py``, built with g++ 12 -O3 and OpenCV 4.6: ``w30`` at ``-w 30`` (10,000 frames; tp, fp, fn over an IoU
of 0.5, and tp over 0.75), ``w10`` at ``-w 10`` (tp, fp, fn over 0.4). For recording, its display was taken out, it
prints each image's counts and those over 0.75, and draws each lane once an image instead of once a pair; without the
last of these it printed the same for 2,000 frames.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import linear_sum_assignment

from sfcore.datasets.dataset import Label
from sfcore.datasets.layouts.culane import parse_lanes
from sfcore.errors import InputError
from sfcore.evaluation.assignment import TOLERANCE, match
from sfcore.evaluation.metric import METRICS
from sfcore.evaluation.metrics.culane import CULane, evaluate_files, frame_counts
from sfcore.evaluation.raster import Stroke, draw, iou_table, spline
from sfcore.tasks.counts import Counts
from tests.evaluation.culane_cases import case

RECORDED = np.load(Path(__file__).parent / "recorded" / "culane.npz")
NAN = float("nan")


def upright(x: float, points: int = 2) -> np.ndarray:
    return np.stack([np.full(points, x), np.linspace(589, 200, points)], 1)


def counts(found: Counts) -> tuple[int, int, int]:
    return found.tp, found.fp, found.fn


def write_cases(root: Path, indices: range) -> list[str]:
    """Prediction and label files of the frames; returns the names of their images."""
    for folder in ("predictions", "labels"):
        (root / folder).mkdir()
    for index in indices:
        for folder, text in zip(("predictions", "labels"), case(index), strict=True):
            (root / folder / f"{index:05d}.lines.txt").write_text(text)
    return [f"/{index:05d}.jpg" for index in indices]


def assert_as_recorded(root: Path, indices: range, width: int, thresholds: tuple[float, ...]) -> None:
    names = write_cases(root, indices)
    found = evaluate_files(root / "predictions", root / "labels", names, thresholds, width)
    recorded = RECORDED[f"w{width}"][indices.start : indices.stop].astype(int)
    differing = (found.counts[:, 0] != recorded[:, :3]).any(1)
    if len(thresholds) > 1:
        differing |= found.counts[:, 1, 0] != recorded[:, 3]
    assert [name for name, differs in zip(names, differing, strict=True) if differs] == []


def test_counts_are_those_of_the_official_tool(tmp_path: Path) -> None:
    assert_as_recorded(tmp_path, range(250), 30, (0.5, 0.75))


def test_counts_at_another_width_are_those_of_the_official_tool(tmp_path: Path) -> None:
    assert_as_recorded(tmp_path, range(250, 400), 10, (0.4,))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("width", "thresholds"), [(30, (0.5, 0.75)), (10, (0.4,))])
def test_all_counts_are_those_of_the_official_tool(
    tmp_path: Path, width: int, thresholds: tuple[float, ...], request: pytest.FixtureRequest
) -> None:
    """All with ``--every-run``, which takes minutes; else a quarter of them."""
    count = len(RECORDED[f"w{width}"]) // (1 if request.config.getoption("--every-run") else 4)
    assert_as_recorded(tmp_path, range(count), width, thresholds)


def test_the_records_hold_what_they_should() -> None:
    tp, fp, fn, better = RECORDED["w30"].T.astype(int)
    assert len(tp) == 10_000
    assert (tp >= better).all() and 0 < better.sum() < tp.sum()
    assert set(tp + fp) == set(range(9)) and set(tp + fn) == {*range(7), 8}


@pytest.mark.parametrize(("shift", "found"), [(0, 1), (10, 1), (-10, 1), (11, 0), (400, 0)])
def test_a_lane_31_pixels_wide_is_found_up_to_a_third_of_its_width(shift: int, found: int) -> None:
    # OpenCV draws width 30 as 31 columns: (31 - s) / (31 + s) is 21/41 at 10 px and 20/42 at 11
    expected = (found, 1 - found, 1 - found)
    assert counts(frame_counts([upright(800 + shift)], [upright(800)])) == expected
    assert counts(frame_counts([upright(800 + shift, 5)], [upright(800, 36)])) == expected


def test_a_lane_is_found_only_above_the_threshold() -> None:
    assert counts(frame_counts([upright(800)], [upright(800)], iou=0.999)) == (1, 0, 0)
    assert counts(frame_counts([upright(800)], [upright(800)], iou=1.0)) == (0, 1, 1)


def test_frames_without_lanes_on_one_side_or_both() -> None:
    assert counts(frame_counts([], [])) == (0, 0, 0)
    assert counts(frame_counts([upright(1), upright(99)], [])) == (0, 2, 0)
    assert counts(frame_counts([], [upright(1), upright(99)])) == (0, 0, 2)


def test_lanes_without_extent_count_but_are_like_no_other() -> None:
    point, nothing = upright(800)[:1], np.empty((0, 2))
    assert counts(frame_counts([point, nothing, upright(800)], [point, nothing, upright(800)])) == (1, 2, 2)


def test_lanes_out_of_sight_on_both_sides_spoil_the_pairing_as_they_do_officially() -> None:
    # two areas of nothing have an IoU of 0 / 0, which pairs with nothing: another lane must take the place
    far, near = upright(9000), upright(800)
    assert counts(frame_counts([near], [far, near])) == (1, 0, 1)
    assert counts(frame_counts([far, near], [far, near])) == (0, 2, 2)
    assert counts(frame_counts([far, far], [near, far])) == (0, 2, 2)


def test_the_width_follows_the_frame_unless_it_is_given() -> None:
    half = Label([upright(400) * [1, 0.5]])
    small = (295, 820)  # drawn 15 px wide, which is 17 columns: 12 / 22 at 5 px, 11 / 23 at 6
    metric = METRICS["culane"]()
    assert [metric.frame([upright(400 + s) * [1, 0.5]], half, small)["tp"] for s in (5, 6)] == [1, 0]
    assert CULane(width=30).frame([upright(406) * [1, 0.5]], half, small) == {"tp": 1, "fp": 0, "fn": 0}


def test_figures_are_made_of_sums() -> None:
    frames = [{"tp": 3.0, "fp": 1.0, "fn": 0.0}, {"tp": 0.0, "fp": 0.0, "fn": 3.0}]
    found = CULane().summary(frames)
    assert (found["tp"], found["precision"], found["recall"]) == (3, 0.75, 0.5)
    assert found["f1"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ([[0.9, 0.1], [0.8, 0.1]], [0, 1]),
        ([[0.9, 0.8], [0.8, 0.1]], [1, 0]),
        ([[0.500, 0.508]], [0]),  # within the tolerance, so the first is taken
        ([[0.500, 0.511]], [1]),
        ([[0.2], [0.7], [0.6]], [-1, 0, -1]),
        ([[NAN, NAN], [0.9, 0.1]], [-1, -1]),  # nothing compares with the first: the second is not tried
        ([[0.9, 0.1], [NAN, NAN]], [0, -1]),
        ([[NAN], [0.9]], [-1, 0]),
    ],
)
def test_pairings_worked_out_by_hand(table: list[list[float]], columns: list[int]) -> None:
    assert match(np.array(table)) == columns


def test_pairings_are_at_most_the_tolerance_a_lane_worse_than_the_best() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        table = rng.random(rng.integers(1, 6, 2)).round(2)
        pairs = [(row, column) for row, column in enumerate(match(table)) if column >= 0]
        best = table[linear_sum_assignment(table, maximize=True)].sum()
        assert len(pairs) == min(table.shape) == len({column for _, column in pairs})
        assert sum(table[pair] for pair in pairs) >= best - TOLERANCE * len(pairs)


def test_the_spline_is_the_natural_one_along_the_chords() -> None:
    points = np.random.default_rng(1).uniform(0, 500, (9, 2))
    curve = spline(points)
    reference = CubicSpline(np.append(0, curve.lengths.cumsum()), points, bc_type="natural")
    a, b, c, d = curve.coefficients
    for t in (0.0, 0.3, 1.0):
        here = t * curve.lengths
        places = np.append(0, curve.lengths.cumsum()[:-1]) + here
        assert np.allclose((a + b * here + c * here**2 + d * here**3).T, reference(places))


def drawn_alone(points: np.ndarray, size: tuple[int, int], width: int) -> np.ndarray:
    """Every segment drawn alone into the whole image, as the official tool does."""
    image = np.zeros(size, np.uint8)
    for a, b in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
        cv2.line(image, a, b, 1, width)
    return image


def whole(stroke: Stroke, size: tuple[int, int]) -> np.ndarray:
    image = np.zeros(size, np.uint8)
    image[stroke.top :, stroke.left :][: stroke.mask.shape[0], : stroke.mask.shape[1]] = stroke.mask
    return image


@pytest.mark.parametrize("width", [1, 5, 30])
def test_a_stroke_is_every_segment_drawn_alone_into_the_whole_image(width: int) -> None:
    rng, size = np.random.default_rng(width), (60, 90)
    lines = [rng.integers(-reach, [90 + reach, 60 + reach], (6, 2)).repeat(2, 0) for reach in (0, 0, width, width)]
    strokes, images = [draw(line, size, width) for line in lines], [drawn_alone(line, size, width) for line in lines]
    for stroke, image in zip(strokes, images, strict=True):
        assert (whole(stroke, size) == image).all() and stroke.area == image.sum()
    expected = [[(a & b).sum() / ((a | b).sum() or NAN) for b in images] for a in images]
    assert np.array_equal(iou_table(strokes, strokes), expected, equal_nan=True)


@pytest.mark.parametrize("reach", [100, 3000])
def test_a_stroke_that_comes_from_afar_is_where_it_would_be_on_a_larger_image(reach: int) -> None:
    # the edges of the image move a few pixels along the edges of the stroke
    rng = np.random.default_rng(reach)
    for line in rng.integers(-reach, reach, (20, 3, 2)):
        line[1] = rng.integers(20, 100, 2)
        stroke = whole(draw(line, (120, 120), 9), (120, 120))
        larger = drawn_alone(line + reach, (120 + 2 * reach, 120 + 2 * reach), 9)[reach:-reach, reach:-reach]
        assert stroke.any() and (stroke != larger).sum() <= 0.05 * stroke.sum()


def test_strokes_out_of_sight_have_no_pixel_and_compare_with_nothing() -> None:
    far = draw(np.array([[5000.0, 10], [6000, 20]]), (60, 90), 30)
    near = draw(np.array([[5.0, 10], [60, 20]]), (60, 90), 30)
    table = iou_table([far, near, None], [far, None])
    assert np.isnan(table[0, 0]) and table[1:].sum() == table[0, 1] == 0


def test_files_that_are_missing_or_damaged_are_named_and_count_as_they_do_officially(tmp_path: Path) -> None:
    names = write_cases(tmp_path, range(4))
    lane = "800 589 800 200\n"
    (tmp_path / "labels/00000.lines.txt").write_text(lane * 2)
    (tmp_path / "predictions/00000.lines.txt").unlink()
    (tmp_path / "labels/00001.lines.txt").write_text(lane)
    (tmp_path / "predictions/00001.lines.txt").write_text("800 589 800 200 7\nno lane\n")
    seen = []
    found = evaluate_files(
        tmp_path / "predictions",
        tmp_path / "labels",
        names[:2],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found.counts[:, 0].tolist() == [[0, 0, 2], [1, 1, 0]]
    assert list(found.problems) == names[:2]
    assert "00000.lines.txt" in found.problems[names[0]] and "line 1, 2" in found.problems[names[1]]
    assert found.totals() == [Counts(1, 1, 2)] and found.totals([False, True]) == [Counts(1, 1, 0)]
    assert seen == [(2, 2)]


def test_work_that_cannot_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        evaluate_files(tmp_path / "none", tmp_path, ["a.jpg"])
    with pytest.raises(InputError, match="no frames"):
        evaluate_files(tmp_path, tmp_path, [])
    with pytest.raises(InputError, match="0 jobs"):
        evaluate_files(tmp_path, tmp_path, ["a.jpg"], jobs=0)


def test_several_processes_count_the_same(tmp_path: Path) -> None:
    names = write_cases(tmp_path, range(70))
    one, two = (evaluate_files(tmp_path / "predictions", tmp_path / "labels", names, jobs=jobs) for jobs in (1, 2))
    assert (one.counts == two.counts).all() and one.problems == two.problems


def test_a_frame_counts_as_its_files_do() -> None:
    for index in range(40):
        predicted, labelled = (parse_lanes(text)[0] for text in case(index))
        assert counts(frame_counts(predicted, labelled)) == tuple(RECORDED["w30"][index, :3])
