"""What the tasks of boxes in images and of boxes in space share: all but where a box lies and how far two are apart."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from sfcore.drawing import Image, Line
from sfcore.tasks import box_drawing as drawing
from sfcore.tasks.base import Agreement, Distortion, Part, Points, Task
from sfcore.tasks.box_distortion import BoxDistortion, agreement, distortion
from sfcore.tasks.boxes import PaddedBoxes, cat
from sfcore.tasks.counts import UNDEFINED, Counts

if TYPE_CHECKING:
    from sfcore.detectors.base import Detector, Outputs

B = TypeVar("B", bound=PaddedBoxes)
NEW = "new boxes"  # those that no box of the reference is a partner of
IN_PLACE = "in place"


class BoxTask(Task[B]):
    """Boxes of classes.

    Attributes:
        penalty: what a box without a partner counts as, and shift and stretch of others at most, in the task's unit.
        tolerance: shift or stretch up to which a box is drawn as in place, in the task's unit.
    """

    parts = tuple(Part(name, colour) for name, colour in drawing.COLOURS.items())
    penalty: ClassVar[float]
    tolerance: ClassVar[float] = 1.0

    @abstractmethod
    def overlap(self, reference: B, other: B) -> Tensor:
        """(B, La, Lb) IoU of every box of one set with every one of the other; of empty slots anything.

        Args:
            reference: of B frames, or of one that all of ``other`` are compared with.
        """

    @abstractmethod
    def displacement(self, reference: B, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) shift and stretch, in the task's unit, from the boxes ``before`` to those ``after``, (B, L, D).

        Args:
            reference: what the boxes are given in: its size, its extent.
        """

    @abstractmethod
    def outlines(self, image: Image, prediction: B) -> list[Line]:
        """The line around each of the objects of a batch of one, in pixels of a picture of its frame."""

    @abstractmethod
    def rank(self, boxes: np.ndarray) -> np.ndarray:
        """(N,) what boxes (N, D) of a class are numbered by, the lowest first."""

    def join(self, batches: Sequence[B]) -> B:
        return cast(B, cat(batches))

    def empty(self, prediction: B) -> B:
        return replace(prediction, box=torch.full_like(prediction.box, float("nan")))

    def in_classes(self, prediction: B, names: Sequence[str]) -> B:
        return prediction.in_classes(tuple(names))

    def distortion(self, reference: B, other: B) -> BoxDistortion:
        def displaced(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
            return self.displacement(reference, before, after)

        return distortion(reference, other, self.overlap(reference, other), displaced, self.penalty)

    def agreement(self, reference: B, other: B) -> Agreement:
        """F1 at IoU 0.5, the mean score, and the mean shift of the pairs that this score is made of."""
        if len(reference) != len(other):
            raise ValueError(f"{len(reference)} sets of boxes cannot be compared with {len(other)}: give one a frame")
        if not len(reference):
            return Agreement.of(0, Counts(), UNDEFINED, UNDEFINED, self.words.unit)
        moved = self.distortion(reference, other)
        return agreement(reference, other, self.overlap(reference, other), moved, self.words.unit)

    def points(self, detector: Detector, outputs: Outputs) -> Points:
        """Corners of boxes: see :meth:`sfcore.detectors.base.Detector.corners`."""
        return detector.corners(outputs)

    def draw(self, image: Image, prediction: B, index: int = 0) -> Image:
        return drawing.draw_boxes(image, self.outlines(image, prediction[index]))

    def draw_each(self, image: Image, prediction: B, index: int = 0) -> Image:
        """Each box with its class and confidence."""
        named = zip(prediction.labels(index), prediction.scores(index), strict=True)
        texts = [f"{label} {score:.2f}" for label, score in named]
        return drawing.draw_each(image, self.outlines(image, prediction[index]), texts)

    def draw_names(self, image: Image, prediction: B, index: int = 0) -> Image:
        outlines, names = self.outlines(image, prediction[index]), self.box_names(prediction, index)
        return drawing.name_boxes(image, outlines, list(names.values()))

    def draw_moved(
        self, image: Image, reference: B, other: B, moved: Distortion, index: int = 0, tolerance: float | None = None
    ) -> Image:
        assert isinstance(moved, BoxDistortion)  # it is of this task
        base = reference[index if len(reference) > 1 else 0]
        kinds = self._kinds(moved, index, self.tolerance if tolerance is None else tolerance, other.box.shape[1])
        shown = [kind for kind, there in zip(kinds, other.present[index].tolist(), strict=True) if there]
        lost = (moved.pairs[index] < 0)[base.present[0]].tolist()
        after = self.outlines(image, other[index])
        return drawing.draw_moved(image, self.outlines(image, base), after, shown, lost)

    def _kinds(self, moved: BoxDistortion, index: int, tolerance: float, slots: int) -> list[str]:
        """What happened to the box of each slot."""
        kinds = ["misalignment"] * slots
        of_boxes = zip(*(each[index].tolist() for each in (moved.pairs, moved.distance, moved.stretch)), strict=True)
        for partner, shift, stretch in of_boxes:
            if partner >= 0:
                larger = "shift" if shift >= stretch else "stretch"
                kinds[partner] = IN_PLACE if max(shift, stretch) <= tolerance else larger
        return kinds

    def box_names(self, prediction: B, index: int = 0) -> dict[int, str]:
        """Slot of each box of one frame to its name, by slot: "car 1", "car 2", ... of each class, by :meth:`rank`."""
        slots = prediction.present[index].nonzero().flatten().tolist()
        ranks = self.rank(prediction.box[index][slots].detach().cpu().numpy())
        labels, met = prediction.labels(index), Counter[str]()
        names: dict[int, str] = {}
        for place in np.argsort(ranks, kind="stable").tolist():
            met[labels[place]] += 1
            names[slots[place]] = f"{labels[place]} {met[labels[place]]}"
        return dict(sorted(names.items()))

    def split(self, reference: B, moved: Distortion) -> dict[str, dict[str, float]]:
        """Box by box, in the order of their classes and numbers; what was invented is misalignment of its own."""
        assert isinstance(moved, BoxDistortion)  # it is of this task
        names = self.box_names(reference)
        ordered = sorted(names, key=lambda slot: (int(reference.label[0, slot]), int(names[slot].rsplit(" ", 1)[1])))
        found = {
            names[slot]: {part.name: float(getattr(moved, part.name)[:, slot].mean()) for part in self.parts}
            for slot in ordered
        }
        extra = float(moved.extra.sum(1).mean())
        return found | {NEW: {part.name: extra if part.name == self.words.lost else 0.0 for part in self.parts}}

    def listed(self, prediction: B, index: int = 0) -> list[dict[str, Any]]:
        return self.record(prediction, index)
