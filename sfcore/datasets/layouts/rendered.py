"""Rendered scenes that lie in no folder, ``scenes:600``: their labels are as exact as those that are written.

Lanes are labelled, and the vehicles that are seen.
"""

from __future__ import annotations

from pathlib import Path

from sfcore.datasets.box_predictions import BoxPredictions, numbered_predictions
from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label, Predictions
from sfcore.datasets.images import FORMATS
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.datasets.scenes import NAMES
from sfcore.datasets.scenes.render import SIZE, labels, layout, render
from sfcore.datasets.scenes.sightings import to_be_found
from sfcore.datasets.source import source_of
from sfcore.datasets.sources.scenes import RenderedScenes, renderer_seed


@LAYOUTS.register("rendered")
class Rendered(Dataset):
    """The scenes of a count and a seed, scored as CULane's images are."""

    metric = "culane"

    @staticmethod
    def fits(root: Path) -> bool:
        return isinstance(source_of(root), RenderedScenes)

    @classmethod
    def open(cls, root: Path, split: str | None = None) -> Rendered:
        images = RenderedScenes().frames(root, split, slice(None), FORMATS)
        scenarios = (layout(renderer_seed(image), SIZE).scenario for image in images)
        return cls(root, frames=[Frame(image.name, image, name) for image, name in zip(images, scenarios, strict=True)])

    def label(self, frame: Frame) -> Label:
        scene = layout(renderer_seed(frame.image), SIZE)
        return Label(labels(scene.view, scene.road, scene.scenario))

    def size(self, frame: Frame) -> tuple[int, int]:
        return SIZE

    def predictions(self, path: Path) -> Predictions:
        return CULanePredictions(path, self.frames)

    def labelled(self, task: str) -> Dataset | None:
        if task == RenderedBoxes.task:
            return RenderedBoxes(self.root, frames=self.frames, names=NAMES)
        return super().labelled(task)


class RenderedBoxes(Rendered):
    """The vehicles of the same scenes, scored as COCO's boxes are; each is rendered for its labels, too."""

    metric = "coco"
    task = "boxes2d"

    def label(self, frame: Frame) -> Label:
        found, neutral = to_be_found(render(renderer_seed(frame.image)).objects[self.task], SIZE[1])
        return Label(found, neutral=neutral)

    def predictions(self, path: Path) -> BoxPredictions:
        return numbered_predictions(path, self.frames, self.names)
