"""Average precision of boxes in point clouds: by hand, against slow loops, and what the published evaluation gave."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from sfcore.evaluation.recall_curve import Judged, kitti_ap, plain_ap

# OpenPCDet's kitti_object_eval_python at 8caccce, its compute_statistics, thresholds and precision, on drawn(40, seed).
PUBLISHED = {0: {0.5: 12.7797302487, 0.7: 8.3832283042}, 1: {0.5: 18.9397867063, 0.7: 8.5852597071}}


def drawn(frames: int, seed: int) -> list[Judged]:
    """Frames in which boxes overlap with several detections, some ignored, many scores equal."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        boxes, detections = draw.integers(0, 7), draw.integers(0, 9)
        overlap = draw.random((boxes, detections)) * (draw.random((boxes, detections)) < 0.4)
        score = draw.integers(1, 40, detections) / 40
        found.append(Judged(overlap, draw.random(boxes) < 0.7, score, draw.random(detections) < 0.85))
    return found


def perfect(count: int) -> list[Judged]:
    """So many frames, each with one box that is found."""
    yes = np.ones(1, bool)
    return [Judged(np.ones((1, 1)), yes, np.array([0.5 + place / (2 * count)]), yes) for place in range(count)]


def false(*scores: float) -> Judged:
    return Judged(np.zeros((0, len(scores))), np.zeros(0, bool), np.array(scores), np.ones(len(scores), bool))


def one(overlaps: Sequence[float], scores: Sequence[float], counts: bool = True) -> Judged:
    """A frame with one labelled box."""
    return Judged(np.array([overlaps]), np.array([counts]), np.array(scores), np.ones(len(scores), bool))


def slow_kitti_ap(frames: Sequence[Judged], least: float) -> float:
    """The evaluation written out detection by detection."""
    labelled, scores = sum(int(frame.counts.sum()) for frame in frames), []
    for frame in frames:
        taken: set[int] = set()
        for g in range(len(frame.counts)):
            left = [d for d in range(len(frame.score)) if d not in taken and frame.overlap[g, d] > least]
            if left:
                best = max(left, key=lambda d: (frame.score[d], -d))
                taken.add(best)
                if frame.counts[g] and frame.judged[best]:
                    scores.append(frame.score[best])
    scores.sort(reverse=True)
    thresholds, recall = [], 0.0
    for i, score in enumerate(scores):
        left_of, right_of = (i + 1) / labelled, (min(i + 1, len(scores) - 1) + 1) / labelled
        if i == len(scores) - 1 or right_of - recall >= recall - left_of:
            thresholds.append(score)
            recall += 1 / 40
    precisions = []
    for threshold in thresholds:
        right = wrong = 0
        for frame in frames:
            sure = [d for d in range(len(frame.score)) if frame.score[d] >= threshold]
            for g in range(len(frame.counts)):
                left = [d for d in sure if frame.overlap[g, d] > least]
                judged = [d for d in left if frame.judged[d]]
                if left:
                    best = max(judged, key=lambda d: (frame.overlap[g, d], -d)) if judged else left[0]
                    sure.remove(best)
                    right += bool(frame.counts[g] and frame.judged[best])
            wrong += sum(bool(frame.judged[d]) for d in sure)
        precisions.append(right / (right + wrong) if right + wrong else 0.0)
    return sum(max(precisions[i:]) for i in range(1, len(precisions))) / 40


@pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_kitti_is_the_evaluation_written_out(seed: int, least: float) -> None:
    frames = drawn(30, seed)
    assert kitti_ap(frames, least) == pytest.approx(slow_kitti_ap(frames, least), abs=1e-12)


@pytest.mark.parametrize("seed", PUBLISHED)
def test_kitti_is_what_the_published_evaluation_gives(seed: int) -> None:
    for least, expected in PUBLISHED[seed].items():
        assert 100 * kitti_ap(drawn(40, seed), least) == pytest.approx(expected, abs=1e-9)


def test_of_forty_found_boxes_r40_counts_all_samples_but_the_first() -> None:
    assert kitti_ap(perfect(400), 0.5) == pytest.approx(1.0)
    assert kitti_ap(perfect(5), 0.5) == pytest.approx(4 / 40)  # five scores are no more than five samples
    assert plain_ap(perfect(5), 0.5) == 1.0


def test_a_false_detection_costs_from_its_score_on() -> None:
    frames = [one([0.9], [0.9]), one([0.9], [0.5]), false(0.7)]
    assert plain_ap(frames, 0.5) == pytest.approx((1 + 2 / 3) / 2)
    assert plain_ap([*frames[:2], false(0.4)], 0.5) == 1.0  # less sure than all that are right


def test_a_missed_box_costs_its_share_and_a_second_detection_is_false() -> None:
    assert plain_ap([one([0.9], [0.9]), one([0.4], [0.8])], 0.5) == pytest.approx(0.5)
    assert plain_ap([one([0.9, 0.8], [0.9, 0.8]), one([0.9], [0.7])], 0.5) == pytest.approx((1 + 2 / 3) / 2)
    assert plain_ap([one([0.5], [0.9])], 0.5) == 1.0  # an IoU of exactly the least is enough


def test_boxes_that_need_not_be_found_neither_help_nor_harm() -> None:
    alone = [one([0.9], [0.6])]
    for ap in (plain_ap, kitti_ap):
        assert ap([*alone, one([0.9], [0.8], counts=False)], 0.5) == ap(alone, 0.5)
        assert math.isnan(ap([one([0.9], [0.8], counts=False)], 0.5)) and math.isnan(ap([], 0.5))
        assert ap([one([], [])], 0.5) == 0.0


def test_the_surest_detection_takes_a_box_that_counts_before_one_that_need_not_be_found() -> None:
    both = Judged(np.array([[0.9], [0.6]]), np.array([False, True]), np.array([0.8]), np.ones(1, bool))
    assert plain_ap([both], 0.5) == 1.0


def test_a_detection_that_is_not_judged_is_not_false() -> None:
    unseen = Judged(np.zeros((0, 1)), np.zeros(0, bool), np.array([0.99]), np.zeros(1, bool))
    assert plain_ap([one([0.9], [0.6]), unseen], 0.5) == 1.0
    assert kitti_ap([*perfect(400), unseen], 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_does_not_depend_on_the_order_of_frames(seed: int) -> None:
    frames = drawn(30, seed)
    for ap in (plain_ap, kitti_ap):
        assert ap(frames[::-1], 0.5) == pytest.approx(ap(frames, 0.5), abs=0.02)  # equal scores in another order
        assert 0 <= ap(frames, 0.7) <= ap(frames, 0.0) <= 1
