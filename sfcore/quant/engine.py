"""The reconstruction engine: tunes a quantized detector towards its full-precision self, head outputs in sight."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector, Outputs
from sfcore.distortion import distortion
from sfcore.quant.augment import augment
from sfcore.quant.features import Features, blocks, feature_error, recorded
from sfcore.quant.layers import QuantLayer
from sfcore.quant.objectives import OBJECTIVES, Terms
from sfcore.quant.quantizer import quantizers
from sfcore.quant.recipe import Recipe
from sfcore.sensitivity.curves import Curves
from sfcore.sensitivity.noise import relative_noise
from sfcore.sensitivity.selection import exact_scores, fast_scores, select

INFERENCE_BATCH = 16


class Tuner:
    """Tunes a calibrated model step by step; can be put down and picked up between steps.

    Every random draw is a function of the seed and the iteration, so a tuner that loads another's state
    goes on exactly as that one would have.

    Args:
        detector: the full-precision detector, the teacher; not changed.
        quantized: its calibrated copy; tuned in place.
        images: (N, 3, H, W) uint8, as :meth:`Preprocessing.resize` gives.
        held_back: (M, 3, H, W) uint8, images by whose distortion the state to keep is chosen.
        recipe: the method's settings.
        curves: noise-score curves, needed by the fast selection.
        seed: of batches and augmentation.

    Raises:
        InputError: k is larger than the number of heads, or the objective does not exist.
    """

    def __init__(
        self,
        detector: Detector,
        quantized: Detector,
        images: Tensor,
        held_back: Tensor,
        recipe: Recipe,
        curves: Curves | None = None,
        seed: int = 0,
    ) -> None:
        self.recipe, self.seed, self.curves = recipe, seed, curves
        # A copy: the caller's detector keeps its memory layout, on which rounding in the last bit depends.
        self.detector = channels_last(copy.deepcopy(detector)).eval().requires_grad_(False)
        self.quantized = channels_last(quantized).eval()
        self.images, self.held_back = images, held_back
        self.names = tuple(head.name for head in detector.heads)
        self.k = recipe.heads_to_select(len(self.names))
        self.objective = OBJECTIVES[recipe.objective]
        self.blocks = blocks(quantized) if recipe.features else ()
        self.iteration = 0
        self.selected = self.names
        self.reference = run(self.detector, held_back)
        self.optimizer = torch.optim.Adam(parameter_groups(quantized, recipe)) if recipe.iterations else None
        self.rates = [group["lr"] for group in self.optimizer.param_groups] if self.optimizer else []
        self.limits = weight_limits(quantized, recipe.reach) if recipe.reach else []
        # Without augmentation the teacher's answers never change; features are too large to keep.
        fixed = recipe.iterations and not recipe.augmentation and not recipe.features
        self.targets = run(self.detector, images) if fixed else None
        self.calibrated = self.best = self._held_back_distortion()
        self.best_state = {name: value.detach().clone() for name, value in quantized.state_dict().items()}

    @property
    def done(self) -> bool:
        """Whether all iterations are taken."""
        return self.iteration >= self.recipe.iterations

    def step(self) -> dict[str, Any]:
        """One step of Adam; returns what happened, for the run's events.

        The event has ``iteration``, ``iterations``, ``loss``, ``terms`` (of the objective), ``noise`` (present
        level of each head on this batch), ``selected``, and on checks ``held_back`` (distortion) and ``best``.
        """
        if self.iteration % self.recipe.reselect_every == 0:
            self.selected = self._select()
        images, index = self._batch()
        terms, extra, noise = self._losses(images, index)
        self._descend(terms.total + extra)
        self.iteration += 1
        event = {
            "iteration": self.iteration,
            "iterations": self.recipe.iterations,
            "loss": float((terms.total + extra).detach()),
            "terms": {
                "semantics": {name: float(value.detach()) for name, value in terms.semantics.items()},
                "confidence": {name: float(value.detach()) for name, value in terms.confidence.items()},
                "features": float(extra.detach()),
            },
            "noise": noise,
            "selected": list(self.selected),
        }
        if self.iteration % self.recipe.check_every == 0 or self.done:
            event |= self._check()
        return event

    def keep_best(self) -> None:
        """Put the best state seen into the quantized model: never worse than calibrated on the held-back images."""
        self.quantized.load_state_dict(self.best_state)

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed * 1_000_003 + self.iteration)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """A preprocessed batch and which of the images it holds."""
        generator = self._generator()
        index = torch.randint(len(self.images), (self.recipe.batch,), generator=generator)
        images = self.detector.preprocessing.normalize(self.images[index].to(self.detector.device))
        if self.recipe.augmentation:
            images = augment(images, generator, self.recipe.augmentation)
        return images.contiguous(memory_format=torch.channels_last), index

    def _losses(self, images: Tensor, index: Tensor) -> tuple[Terms, Tensor, dict[str, float]]:
        """The objective's terms, the feature term, and each head's present noise level."""
        if self.targets is not None:
            reference, teacher = {name: value[index] for name, value in self.targets.items()}, Features()
        else:
            with recorded(self.detector, self.blocks) as teacher, torch.no_grad():
                reference = self.detector(images)
        with recorded(self.quantized, self.blocks) as student:
            outputs = self.quantized(images)
        terms = self.objective(self.detector, outputs, reference, self.selected, self.recipe.lam)
        extra = torch.zeros((), device=images.device)
        if self.blocks:
            extra = self.recipe.features * feature_error(student, teacher)
        noise = {name: relative_noise(outputs[name].detach(), reference[name]) for name in self.names}
        return terms, extra, noise

    def _descend(self, loss: Tensor) -> None:
        assert self.optimizer is not None  # step() is only called when there are iterations
        factor = self.recipe.rate(self.iteration)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for weight, low, high in self.limits:
                weight.clamp_(low, high)

    def _select(self) -> tuple[str, ...]:
        if self.recipe.selection == "none":
            return self.names
        outputs = run(self.quantized, self.held_back)
        if self.recipe.selection == "exact":
            return select(exact_scores(self.detector, self.reference, outputs), self.k)
        assert self.curves is not None  # the session measures them for this selection
        levels = {name: relative_noise(outputs[name], self.reference[name]) for name in self.names}
        return select(fast_scores(self.curves, levels), self.k)

    def _held_back_distortion(self) -> float:
        outputs = run(self.quantized, self.held_back)
        score = distortion(self.detector.decode(self.reference), self.detector.decode(outputs)).score
        return float(score.double().mean())

    def _check(self) -> dict[str, Any]:
        found = self._held_back_distortion()
        if found < self.best:
            self.best = found
            self.best_state = {name: value.detach().clone() for name, value in self.quantized.state_dict().items()}
        return {"held_back": found, "best": self.best, "calibrated": self.calibrated}

    def state(self) -> dict[str, Tensor]:
        """Everything that the remaining steps depend on."""
        state = {f"model.{name}": value for name, value in self.quantized.state_dict().items()}
        state |= {f"best.{name}": value for name, value in self.best_state.items()}
        if self.optimizer:
            for index, moments in self.optimizer.state_dict()["state"].items():
                state |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        state["scores"] = torch.tensor([self.best, self.calibrated], dtype=torch.float64)
        state["iteration"] = torch.tensor(self.iteration)
        state["selected"] = torch.tensor([self.names.index(name) for name in self.selected])
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on as the tuner whose :meth:`state` this is."""
        self.quantized.load_state_dict(_under("model.", state))
        self.best_state = {name: value.clone() for name, value in _under("best.", state).items()}
        self.best, self.calibrated = state["scores"].tolist()
        self.iteration = int(state["iteration"])
        self.selected = tuple(self.names[index] for index in state["selected"].tolist())
        if self.optimizer:
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _under("adam.", state).items():
                index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})


def channels_last(model: Detector) -> Detector:
    """The same model with its convolutions' weights in the memory order that CPUs and tensor cores are fast in."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


@torch.no_grad()
def run(model: Detector, images: Tensor, batch: int = INFERENCE_BATCH) -> Outputs:
    """Head outputs of uint8 images, batch by batch.

    Args:
        images: (N, 3, H, W) uint8, as :meth:`Preprocessing.resize` gives.
    """
    parts = []
    for start in range(0, len(images), batch):
        pixels = images[start : start + batch].to(model.device)
        parts.append(model(model.preprocessing.normalize(pixels).contiguous(memory_format=torch.channels_last)))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """What the recipe learns, one optimizer group a layer, with its learning rate; gradients are switched on."""
    groups: list[dict[str, Any]] = []

    def learn(parameter: nn.Parameter, unit: Tensor) -> None:
        rate = recipe.learning_rate * (float(unit.detach().mean()) if recipe.relative else 1.0)
        groups.append({"params": [parameter.requires_grad_()], "lr": rate})

    for module in model.modules():
        if isinstance(module, QuantLayer):
            step = module.weight_quantizer.scale
            if "weights" in recipe.learn:
                learn(module.weight, step)
            if "biases" in recipe.learn:
                learn(module.bias, step)
        elif isinstance(module, (nn.LayerNorm, nn.GroupNorm)) and "norms" in recipe.learn:
            for parameter in module.parameters():
                learn(parameter, module.weight * NORM_RATE)
    if "steps" in recipe.learn:
        for _, quantizer in quantizers(model):
            learn(quantizer.scale, quantizer.scale * STEP_RATE)
    return groups


# Weights may move by several of their steps; step sizes and the factors of norms only by a part of themselves.
STEP_RATE, NORM_RATE = 0.2, 0.02


def weight_span(layer: QuantLayer) -> Tensor:
    """The largest magnitude that each channel's quantized weights can take, shaped to broadcast over the weight."""
    quantizer = layer.weight_quantizer
    return quantizer.scale.detach() * 2.0 ** (quantizer.bits - 1)


def weight_limits(model: nn.Module, reach: float) -> list[tuple[nn.Parameter, Tensor, Tensor]]:
    """Every weight with the least and the largest value that ``reach`` allows it."""
    layers = [module for module in model.modules() if isinstance(module, QuantLayer)]
    limits = []
    for layer in layers:
        start, most = layer.weight.detach().clone(), reach * weight_span(layer)
        limits.append((layer.weight, start - most, start + most))
    return limits
