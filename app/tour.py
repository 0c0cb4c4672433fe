"""What the guided tour shows: a run that ships, on sample roads that it has never seen; all of it computed here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app import results, sources
from app.perturbation import LEVELS, Moved, scores_at, with_noise
from app.session import DetectorChoice, Studio, remembered
from sfcore import drawing
from sfcore.detectors.base import Image
from sfcore.present.figures import maps
from sfcore.present.figures.captions import captioned
from sfcore.resources import sample_data
from sfcore.runs import RunFolder
from sfcore.runs.results import ModelName
from sfcore.runs.shipped import shipped
from sfcore.sensitivity.curves import Curves
from sfcore.sensitivity.elements import Grain, element_map
from sfcore.sensitivity.noise import Noise
from sfcore.tasks.base import Agreement

ROAD = "16-arrow.jpg"  # all its lanes are found at full precision, and 4 bits move most of them
LEVEL = LEVELS[20]  # 10 %: noise on each head in turn
STEP = LEVELS[23]  # 20 %: how far each cell is moved
MOST_CELLS = 400  # so that the element map is there at once
IN_PLACE = 4.0  # pixels: a lane shifted by a third of its drawing width still counts as found, at an IoU of 0.5
COLUMNS, LINES = 2, 26  # of the sheet of heads; a line of its captions is so many to the width of a road
SKY = 0.35  # share of the road's picture that no lane is in, left out of the sheet


@dataclass(frozen=True)
class Tour:
    """The run, and the road that it is shown on as the pages see it."""

    run: RunFolder
    view: Studio

    @classmethod
    def open(cls) -> Tour:
        """The run that ships and its road."""
        run, folder = shipped(), str(sample_data() / "scenes")
        dataset = sources.opened(folder, None, sources.changed(folder))
        choice = DetectorChoice.of_run(run.spec)
        return cls(run, Studio(choice, dataset, tuple(dataset.frames), sample_data() / "scenes" / ROAD, folder))

    def moved(self, which: ModelName) -> Moved:
        """The lanes of a quantized model on the road, beside the full-precision ones."""
        before, after = self.view.prediction(), self._after(which, self.view.image)
        return Moved(before, after, self.view.task.distortion(before, after))

    def _after(self, which: ModelName, image: Path) -> Any:
        """What a quantized model of the run finds in an image."""
        return results.prediction(self.view, self.run, which, image)

    def draw(self, moved: Moved) -> Image:
        """The road with two lane sets."""
        task = self.view.task
        return task.draw_moved(self.view.canvas, moved.before, moved.after, moved.distortion, tolerance=IN_PLACE)

    def in_place(self, which: ModelName) -> tuple[int, int]:
        """How many lanes of the road a quantized model still puts where they were, and how many there are."""
        found = self.view.task.agreement(self.view.prediction(), self._after(which, self.view.image))
        return found.tp, found.tp + found.fn

    def agreement(self, which: ModelName) -> Agreement:
        """How a quantized model agrees with full precision on all sample roads."""

        def measured() -> Agreement:
            images = self.view.images
            task = self.view.task
            full = task.join([self.view.prediction(image) for image in images])
            return task.agreement(full, task.join([self._after(which, image) for image in images]))

        return remembered(("tour", which, results.stamp(self.run, which)), measured)

    def scores(self) -> dict[str, float]:
        """Mean distortion that noise of LEVEL on each head causes, most sensitive first."""
        found = scores_at(*self.view.key, Noise("gaussian", LEVEL), 0)
        return {name: found[name][0] for name in sorted(found, key=lambda name: -found[name][0])}

    def heads(self) -> Image:
        """The road once for each head, each with the same noise on that head, most sensitive first."""
        drawn = []
        for head, score in self.scores().items():
            moved = with_noise(self.view, head, Noise("gaussian", LEVEL), (0,))
            picture = self.draw(moved)
            drawn.append(captioned(picture[round(SKY * len(picture)) :], f"{head}: {score:.1f}", LINES))
        return drawing.sheet(drawn, COLUMNS)

    def cells(self, head: str) -> torch.Tensor:
        """(1, H, W) the distortion that moving each cell of a grid head alone causes."""
        outputs = self.view.outputs()
        grain = Grain.within(self.view.detector.head(head), outputs[head].shape[1:], MOST_CELLS)
        key = ("tour", *self.view.key, head)
        return remembered(key, lambda: element_map(self.view.detector, outputs, head, STEP, grain=grain))

    def cell_picture(self, head: str) -> Image:
        """The cells over the road."""
        return maps.element_picture(self.view.canvas, self.view.detector, self.cells(head))

    def curves(self) -> Curves:
        """The noise–score curves that the run's selection asked."""
        return Curves.load(self.run.path)

    def noise(self, which: ModelName) -> dict[str, float]:
        """The noise level that a quantized model puts on each head, over all sample roads."""
        return results.noise_levels(self.view, partial(results.outputs, self.run, which), self.view.images)


def how_few(values: np.ndarray, share: float = 0.9) -> int:
    """The fewest of the values, which are not negative, that make up a share of their sum."""
    falling = np.sort(values.ravel())[::-1].cumsum()
    return int(np.searchsorted(falling, share * falling[-1])) + 1
