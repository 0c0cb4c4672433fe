"""Rendered scenes that lie in no folder, ``scenes:600``: their labels are as exact as those that are written."""

from __future__ import annotations

from pathlib import Path

from sfcore.datasets.dataset import LAYOUTS, Dataset, Frame, Label
from sfcore.datasets.images import FORMATS
from sfcore.datasets.layouts.culane import CULanePredictions
from sfcore.datasets.scenes.render import SIZE, labels, layout
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

    def predictions(self, path: Path) -> CULanePredictions:
        return CULanePredictions(path, self.frames)
