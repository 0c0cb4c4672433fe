"""Net-wise reconstruction: the heads of the quantized network against those of the full-precision one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.devices import sent
from sfcore.quant.inference import in_memory_order, run
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.objectives import OBJECTIVES
from sfcore.quant.reconstruct.cache import Cache, Place, pack, unpack
from sfcore.quant.reconstruct.features import Features, blocks, feature_error, recorded
from sfcore.sensitivity.curves import Curves
from sfcore.sensitivity.noise import noise_level, relative_noise
from sfcore.sensitivity.selection import exact_scores, fast_scores, randomly, select


@dataclass(frozen=True)
class Batch:
    """What a net-wise step is taken on: images, and what the full-precision network makes of them."""

    images: Tensor
    reference: Outputs
    features: Features


class NetReconstruction:
    """The objective over all heads, or over those that the selection picks.

    Args:
        detector: at full precision.
        held_back: (M, ...) stacked frames, on which heads are selected.
        reference: head outputs of ``held_back`` at full precision.
        curves: for the selections that read them.

    Raises:
        InputError: more heads are to be selected than there are, or one that does not exist.
    """

    def __init__(
        self,
        detector: Detector,
        quantized: Detector,
        images: Tensor,
        held_back: Tensor,
        reference: Outputs,
        recipe: Recipe,
        curves: Curves | None,
        place: Place,
    ) -> None:
        self.detector, self.quantized, self.recipe, self.curves = detector, quantized, recipe, curves
        self.images, self.held_back, self.reference = images, held_back, reference
        self.names = tuple(head.name for head in detector.heads)
        self.selected = self.names
        self.objective = OBJECTIVES[recipe.objective]
        self.blocks = blocks(quantized) if recipe.features else ()
        # Without augmentation the teacher's answers never change; features are too large to keep.
        fixed = not recipe.augmentation and not recipe.features
        self.cache = Cache(self._answers, len(images), place) if fixed else None

    def _answers(self, index: int) -> list[Tensor]:
        outputs = run(self.detector, self.images[index : index + 1])
        return [pack(outputs[name], 0) for name in self.names]

    def draw(self, iteration: int, generator: torch.Generator, masks: torch.Generator) -> Batch:
        """A batch; every so often the heads are selected anew first."""
        if iteration % self.recipe.reselect_every == 0:
            self.selected = self._select(generator)
        index = torch.randint(len(self.images), (self.recipe.batch,), generator=generator)
        images = self.detector.preprocessing.normalize(sent(self.images[index], self.detector.device))
        if self.recipe.augmentation:
            images = self.detector.preprocessing.augment(images, generator, self.recipe.augmentation)
        images = in_memory_order(images)
        if self.cache:
            rows = self.cache.batch(index)
            return Batch(images, {name: unpack(row, 0) for name, row in zip(self.names, rows, strict=True)}, {})
        with recorded(self.detector, self.blocks) as features, torch.no_grad():
            return Batch(images, self.detector(images), features)

    def parts(self, batch: Batch) -> tuple[tuple[float, Batch]]:
        """The batch whole: objectives weigh its images against each other."""
        return ((1.0, batch),)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        """The objective with the term of the features, and each head's present noise level."""
        with recorded(self.quantized, self.blocks) as features:
            outputs = self.quantized(batch.images)
        terms = self.objective(self.detector, outputs, batch.reference, self.selected, self.recipe.lam)
        extra = torch.zeros((), device=batch.images.device)
        if self.blocks:
            extra = self.recipe.features * feature_error(features, batch.features)
        about = {
            "terms": {
                "semantics": {name: value.detach() for name, value in terms.semantics.items()},
                "confidence": {name: value.detach() for name, value in terms.confidence.items()},
                "features": extra.detach(),
            },
            "noise": {n: noise_level(outputs[n].detach(), batch.reference[n]) for n in self.names},
            "selected": list(self.selected),
        }
        return terms.total + extra, about

    def _select(self, generator: torch.Generator) -> tuple[str, ...]:
        selection = self.recipe.selection
        if selection == "none":
            return self.names
        if selection == "fixed":
            return self.recipe.fixed_heads(self.names)
        k = self.recipe.heads_to_select(len(self.names))
        if selection == "random":
            return randomly(self.names, k, generator)
        outputs = run(self.quantized, self.held_back)
        if selection == "exact":
            return select(exact_scores(self.detector, self.reference, outputs), k)
        assert self.curves is not None  # the session measures them for these selections
        levels = {name: relative_noise(outputs[name], self.reference[name]) for name in self.names}
        return select(fast_scores(self.curves, levels), k, least=selection == "bottom")

    def state(self) -> dict[str, Tensor]:
        return {"selected": torch.tensor([self.names.index(name) for name in self.selected])}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.selected = tuple(self.names[index] for index in state["selected"].tolist())
