"""How well a detector finds the lanes of rendered scenes that it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sfcore.datasets.scenes import Scene
from sfcore.detectors.base import Detector
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes import cat, sampled
from sfcore.tasks.lanes.agreement import agreement


@dataclass(frozen=True)
class Score:
    """F1 at IoU 0.5 over all scenes and of each scenario; mean sideways shift in pixels at 640 px image width."""

    f1: float
    precision: float
    recall: float
    shift_px: float
    scenarios: dict[str, float]


@torch.no_grad()
def score(detector: Detector, scenes: Sequence[Scene], batch: int = 16) -> Score:
    """Compare what ``detector`` finds with the labels of ``scenes``."""
    truth = sampled([_in_frame(scene, detector) for scene in scenes], detector.rows.cpu(), detector.frame)
    groups = [scenes[start : start + batch] for start in range(0, len(scenes), batch)]
    images = [[scene.image for scene in group] for group in groups]
    found = cat([detector.decode(detector(detector.preprocess(group))).to("cpu") for group in images])
    total = agreement(truth, found)
    per_scenario = {}
    for name in sorted({scene.scenario for scene in scenes}):
        index = [i for i, scene in enumerate(scenes) if scene.scenario == name]
        part = agreement(truth[index], found[index])
        per_scenario[name] = Counts(part.tp, part.fp, part.fn).f1
    return Score(total.f1, total.precision, total.recall, total.shift, per_scenario)


def _in_frame(scene: Scene, detector: Detector) -> list:
    height, width = scene.image.shape[:2]
    return [line * (detector.frame[1] / width, detector.frame[0] / height) for line in scene.lanes]
