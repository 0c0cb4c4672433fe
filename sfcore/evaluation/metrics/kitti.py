"""Average precision of boxes in point clouds, plain and as KITTI's object benchmark has it.

``ap`` is the mean over the labelled classes of the area under the curve at a shared ground of 0.5, ``vehicle_ap`` that
of one class; a class that is nowhere labelled has none. Where labels say how hard each box is to find, KITTI's AP R40
stands beside it: ``vehicle_bev_moderate`` on the ground and ``vehicle_3d_moderate`` in space, at the official IoU, 0.7
for vehicles and 0.5 for others. Of KITTI's vehicles cars have to be found, and vans, trucks and trams may be: only
those two last differ from the official evaluation, which would take a truck that was found for a false car. In the same
way sitting persons are no pedestrians that have to be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from sfcore.datasets.dataset import Label
from sfcore.datasets.layouts.kitti import LEVELS, TALLEST
from sfcore.datasets.sweep_label import SweepLabel
from sfcore.evaluation.metric import METRICS, Metric, Score
from sfcore.evaluation.recall_curve import Judged, kitti_ap, plain_ap
from sfcore.tasks.boxes3d import bev_iou, iou_3d
from sfcore.tasks.counts import UNDEFINED

SHARED = 0.5  # of the ground, from which the plain AP takes a box as found
OFFICIAL = {"vehicle": 0.7}  # IoU that KITTI asks for; 0.5 of other classes
KINDS = {"bev": bev_iou, "3d": iou_3d}

Key = tuple[int, str, int]  # class, kind of overlap, level


@dataclass(frozen=True)
class SweepTally:
    """One sweep's labelled boxes and detections, class by class.

    Attributes:
        names: of the classes; empty where the labels do not tell.
        plain: of each class that occurs, all labelled boxes wanted.
        official: of each class, overlap and level of KITTI's; empty where the labels have no levels.
    """

    names: tuple[str, ...]
    plain: dict[int, Judged]
    official: dict[Key, Judged]


@METRICS.register("kitti")
@dataclass(frozen=True)
class Kitti(Metric):
    """AP of boxes (9,) as :class:`sfcore.tasks.boxes3d.Boxes3d` gives them.

    Attributes:
        sure: confidence from which a box counts as labelled where another detector's boxes take the place of labels.
    """

    headline = "ap"
    nothing: ClassVar[Score] = {"ap": UNDEFINED}
    task = "boxes3d"
    ranked = True

    sure: float = 0.3

    def frame(self, predicted: Sequence[np.ndarray], label: Label, size: tuple[int, int]) -> SweepTally:
        """What is compared in one sweep.

        Args:
            size: (height, width) of the camera's image, where only what it shows is labelled.
        """
        found = np.array(predicted, np.float64).reshape(-1, 9)
        if not isinstance(label, SweepLabel):
            return SweepTally((), self._plain(found, label, np.ones(len(found), bool)), {})
        if label.camera is None:
            heights = np.full(len(found), np.inf)
        else:
            sides = label.camera.image_boxes(found[:, :7], size)
            heights = (sides[:, 3] - sides[:, 1]) * (sides[:, 2] > sides[:, 0])
        official = {} if label.levels is None else _official(found, label, label.levels, heights)
        return SweepTally(label.names, self._plain(found, label, heights > 0), official)

    def summary(self, frames: Iterable[SweepTally]) -> Score:
        """``ap``, and by class; with levels also KITTI's, see above."""
        each = list(frames)
        names = max((frame.names for frame in each), key=len)
        places = sorted({place for frame in each for place in frame.plain})
        plain = {c: plain_ap([frame.plain[c] for frame in each if c in frame.plain], SHARED) for c in places}
        known = [ap for ap in plain.values() if not np.isnan(ap)]
        figures = {"ap": float(np.mean(known)) if known else UNDEFINED}
        figures |= {f"{name}_ap": plain.get(place, UNDEFINED) for place, name in enumerate(names)}
        for place, kind, level in sorted({key for frame in each for key in frame.official}):
            judged = [frame.official[place, kind, level] for frame in each if frame.official]
            least = OFFICIAL.get(names[place], 0.5)
            figures[f"{names[place]}_{kind}_{LEVELS[level]}"] = kitti_ap(judged, least)
        return figures

    def merit(self, frame: SweepTally) -> tuple[float, float]:
        """The frame's own AP, 1 where nothing has to be found; then fewer sure detections."""
        ap = self.summary([frame])[self.headline]
        sure = sum(int((each.judged & (each.score >= self.sure)).sum()) for each in frame.plain.values())
        return 1.0 if np.isnan(ap) else ap, -float(sure)

    def _plain(self, found: np.ndarray, label: Label, seen: np.ndarray) -> dict[int, Judged]:
        """Of each class that is found or labelled, the ground that is shared; neutral boxes need not be found.

        Args:
            seen: (D,) which detections lie where boxes are labelled.
        """
        objects = [each for each in label.objects if each[8] >= self.sure]
        rows = np.array([*objects, *label.neutral], np.float64).reshape(-1, 9)
        wanted, judged = np.arange(len(rows)) < len(objects), {}
        overlap = _overlap("bev", rows, found)
        for place in {int(each) for each in (*rows[:, 7], *found[:, 7])}:
            of_rows, of_found = rows[:, 7] == place, found[:, 7] == place
            shared = overlap[of_rows][:, of_found]
            judged[place] = Judged(shared, wanted[of_rows], found[of_found, 8], seen[of_found])
        return judged


def _official(found: np.ndarray, label: SweepLabel, levels: np.ndarray, heights: np.ndarray) -> dict[Key, Judged]:
    """As the official evaluation compares: whatever is lower than a level's least height in the image is not judged,
    of whichever class it is."""
    rows, judged = np.array(label.objects, np.float64).reshape(-1, 9), {}
    for kind in KINDS:
        overlap = _overlap(kind, rows, found)
        for place in range(len(label.names)):
            of_rows = rows[:, 7] == place
            for level, least in enumerate(TALLEST):
                tall = heights >= least
                chosen = (found[:, 7] == place) | ~tall
                shared = overlap[of_rows][:, chosen]
                judged[place, kind, level] = Judged(shared, levels[of_rows] <= level, found[chosen, 8], tall[chosen])
    return judged


def _overlap(kind: str, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(G, D) the overlap of labelled boxes with detections."""
    return KINDS[kind](torch.from_numpy(rows[:, :7]), torch.from_numpy(found[:, :7])).numpy()
