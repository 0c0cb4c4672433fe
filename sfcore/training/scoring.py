"""How well a detector finds the objects of rendered scenes that it has never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sfcore.datasets.dataset import Label
from sfcore.datasets.scenes import Scene
from sfcore.datasets.scenes.sightings import to_be_found
from sfcore.detectors.base import Detector
from sfcore.evaluation.metrics.coco import CocoAP
from sfcore.tasks.base import Prediction
from sfcore.tasks.boxes2d import Boxes2d
from sfcore.tasks.counts import Counts
from sfcore.tasks.lanes import sampled
from sfcore.training.objects import scaled


@dataclass(frozen=True)
class Score:
    """F1 at IoU 0.5 over all scenes and of each scenario; mean shift in pixels at 640 px image width; of boxes also
    COCO's average precision at IoU 0.5."""

    f1: float
    precision: float
    recall: float
    shift_px: float
    scenarios: dict[str, float]
    ap50: float | None = None

    def rounded(self) -> dict[str, float]:
        """What is kept with weights."""
        found = {"f1": round(self.f1, 4), "shift_px": round(self.shift_px, 2)}
        return found if self.ap50 is None else found | {"ap50": round(self.ap50, 4)}


@torch.no_grad()
def score(detector: Detector, scenes: Sequence[Scene], batch: int = 16) -> Score:
    """Compare what ``detector`` finds with the labels of ``scenes``."""
    groups = [scenes[start : start + batch] for start in range(0, len(scenes), batch)]
    images = [[scene.image for scene in group] for group in groups]
    task, outputs = detector.task, (detector(detector.preprocess(group)) for group in images)
    batches = [(detector.decode(each).to("cpu"), detector.candidates(each).to("cpu")) for each in outputs]
    found, candidates = map(task.join, zip(*batches, strict=True))
    objects = [_in_frame(scene, detector) for scene in scenes]
    truth = _truth(found, objects)
    total = task.agreement(truth, found)
    per_scenario = {}
    for name in sorted({scene.scenario for scene in scenes}):
        index = [i for i, scene in enumerate(scenes) if scene.scenario == name]
        part = task.agreement(truth[index], found[index])
        per_scenario[name] = Counts(part.tp, part.fp, part.fn).f1
    precision = _ap50(candidates, objects) if isinstance(candidates, Boxes2d) else None
    return Score(total.f1, total.precision, total.recall, total.shift, per_scenario, precision)


def _ap50(found: Boxes2d, frames: list[list[np.ndarray]]) -> float:
    metric = CocoAP()
    parts = [to_be_found(objects, found.size[1]) for objects in frames]
    labels = [Label(wanted, neutral=neutral) for wanted, neutral in parts]
    tallies = [metric.frame(found.objects(i), label, found.size) for i, label in enumerate(labels)]
    return float(metric.summary(tallies)["ap50"])


def _truth(found: Any, frames: list[list[np.ndarray]]) -> Prediction:
    """The labels of some frames in the form of a detector's predictions."""
    if isinstance(found, Boxes2d):
        return Boxes2d.from_objects(frames, found.names, found.size)
    return sampled(frames, found.rows, found.size)


def _in_frame(scene: Scene, detector: Detector) -> list[np.ndarray]:
    scale = np.array(detector.frame[::-1]) / scene.image.shape[1::-1]
    return scaled(scene.objects[detector.task_name], scale, 0.5 * scale - 0.5)
