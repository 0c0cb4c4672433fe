"""The reconstruction engine: tunes a quantized detector towards its full-precision self, unit after unit.

A unit is the whole network, with the heads in sight, or each block or layer in turn. What is learned of it, towards
what and how is the recipe's; the engine knows no method by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.convert import convert
from sfcore.quant.copies import copied
from sfcore.quant.inference import channels_last, run
from sfcore.quant.methods.recipe import Recipe
from sfcore.quant.quantizers import quantizers
from sfcore.quant.reconstruct.cache import Plan, memory_budget, plan
from sfcore.quant.reconstruct.drop import dropping
from sfcore.quant.reconstruct.jitter import jittering
from sfcore.quant.reconstruct.learned import Learned, learns, under
from sfcore.quant.reconstruct.net import NetReconstruction
from sfcore.quant.reconstruct.numbers import as_numbers
from sfcore.quant.reconstruct.reconstruction import Reconstruction
from sfcore.quant.reconstruct.unit import UnitReconstruction, bytes_needed
from sfcore.quant.reconstruct.units import Unit, find_units
from sfcore.quant.scheme import Scheme
from sfcore.sensitivity.curves import Curves

FILLING = 1.0  # seconds of recording activations between two reports


@dataclass(frozen=True)
class Work:
    """The unit that is being reconstructed.

    Attributes:
        module: of the quantized model.
        start: its state when its reconstruction began.
    """

    module: nn.Module
    reconstruction: Reconstruction
    learned: Learned
    start: dict[str, Tensor]


class Tuner:
    """Tunes a calibrated model step by step; can be put down and picked up between steps.

    Every random draw is a function of the seed and the iteration, so a tuner that loads another's state
    goes on exactly as that one would have.

    Args:
        detector: the full-precision detector, the teacher; not changed.
        quantized: its calibrated copy; tuned in place.
        images: (N, ...), as :meth:`InputSpec.stack` gives: (N, 3, H, W) uint8.
        held_back: (M, ...), frames by whose distortion the state to keep is chosen.
        recipe: the method's settings.
        curves: noise-score curves, needed by the selections that read them.
        seed: of batches, augmentation, drops, jitter and random selections.
        memory: bytes that cached activations may take in memory; None for :func:`memory_budget` as a unit begins.

    Attributes:
        iteration: steps taken, over all units.
        plan: where the cached activations of the unit with most of them would go now; each is planned as it begins.

    Raises:
        InputError: the recipe does not fit the detector: see :meth:`Recipe.check_detector`.
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
        memory: int | None = None,
    ) -> None:
        self.recipe, self.seed, self.curves = recipe, seed, curves
        # A copy: the caller's detector keeps its memory layout, on which rounding in the last bit depends.
        self.detector = channels_last(copied(detector)).eval().requires_grad_(False)
        self.quantized = channels_last(quantized).eval().requires_grad_(False)
        self.images, self.held_back = images, held_back
        recipe.check_detector(detector)
        self.reference = run(self.detector, held_back)
        self.units = self._units()
        unitwise = recipe.granularity != "net" and bool(self.units)
        self.teacher = _unquantized(detector, quantized.transformed_by) if unitwise else None
        self.memory = memory
        self.plan = self._plan(*self.units)
        self.iteration = 0
        self.work: Work | None = None
        self.calibrated = self.best = self._held_back_distortion()
        self.best_state = _copied(quantized)

    def _units(self) -> tuple[Unit | None, ...]:
        """What is reconstructed, in turn; None stands for the whole network."""
        if not self.recipe.iterations:
            return ()
        if self.recipe.granularity == "net":
            return (None,)
        found = find_units(self.quantized, self.recipe.granularity)
        return tuple(unit for unit in found if learns(self.quantized.get_submodule(unit.name), self.recipe))

    def _plan(self, *units: Unit | None) -> Plan:
        """Where the cached activations of one of the units go."""
        budget = memory_budget(self.detector.device) if self.memory is None else self.memory
        return plan(max(map(self._bytes, units), default=0), budget)

    def _bytes(self, unit: Unit | None) -> int:
        """What the cached activations of a unit take."""
        if unit:
            return bytes_needed(unit, len(self.images), self.recipe.drop)
        if self.recipe.augmentation or self.recipe.features:
            return 0
        return len(self.images) * sum(value[:1].numel() * value.element_size() for value in self.reference.values())

    @property
    def iterations(self) -> int:
        """Steps in all."""
        return self.recipe.iterations * len(self.units)

    @property
    def done(self) -> bool:
        """Whether all iterations are taken."""
        return self.iteration >= self.iterations

    def step(self) -> dict[str, Any]:
        """One step of Adam, or a second of recording what the next ones need; returns what to write down.

        The event of a step has ``iteration``, ``iterations``, ``loss``, ``terms`` (of which it is the sum), net-wise
        ``noise`` (present level of each head on this batch) and ``selected``, else ``unit`` (its place, how many there
        are, and its name); on checks also ``held_back`` (distortion), ``best`` and ``calibrated``; on checks and the
        first step ``weights``, what charts show of how the weights of layers are rounded, if anything. That of
        recording has ``type`` "progress", ``phase``, ``done`` and ``total``.
        """
        place, iteration = divmod(self.iteration, self.recipe.iterations)
        if self.work is None:
            self.work = self._begin(self.units[place])
        cache = self.work.reconstruction.cache
        if cache and not cache.ready:
            cache.fill(FILLING)
            phase = f"recording unit {place + 1} of {len(self.units)}" if self.units[place] else "recording outputs"
            return {"type": "progress", "phase": phase, "done": cache.filled, "total": cache.count}
        event = self._descend(self.work, iteration)
        self.iteration += 1
        event |= self._after(place, ended=iteration + 1 == self.recipe.iterations)
        return {"iteration": self.iteration, "iterations": self.iterations} | event

    def _after(self, place: int, *, ended: bool) -> dict[str, Any]:
        """Check the model where it is time, and leave a unit that is done."""
        assert self.work is not None  # a step of it was just taken
        unit, event = self.units[place], dict[str, Any]()
        if unit:
            event["unit"] = [place + 1, len(self.units), unit.name]
        checked = ended or (unit is None and self.iteration % self.recipe.check_every == 0)
        if (checked or self.iteration == 1) and (facts := self.work.learned.facts()):
            event["weights"] = facts
        if checked:
            self.work.learned.harden()
            event |= self._check()
        if ended:
            self.work.module.requires_grad_(False)
            self.work = None
        return event

    def keep_best(self) -> None:
        """Put the best state seen into the quantized model: never worse than calibrated on the held-back images."""
        self.quantized.load_state_dict(self.best_state)

    def _begin(self, unit: Unit | None) -> Work:
        """Get a unit ready; the quantized model is as it shall be before its first step."""
        recipe, place = self.recipe, self._plan(unit).place
        reconstruction: Reconstruction
        if unit is None:
            reconstruction = NetReconstruction(
                self.detector, self.quantized, self.images, self.held_back, self.reference, recipe, self.curves, place
            )
        else:
            assert self.teacher is not None  # there are units
            before = copied(self.quantized).requires_grad_(False)
            reconstruction = UnitReconstruction(
                unit, self.quantized, before, self.teacher, self.images, recipe.batch, recipe.drop, place
            )
        module = self.quantized.get_submodule(unit.name if unit else "").requires_grad_(False)
        return Work(module, reconstruction, Learned(module, recipe), _copied(module))

    def _descend(self, work: Work, iteration: int) -> dict[str, Any]:
        """A step of Adam at an iteration of a unit."""
        generator, masks = self._generators()
        total, events = torch.zeros((), dtype=torch.float64, device=self.detector.device), []
        for share, part in work.reconstruction.parts(work.reconstruction.draw(iteration, generator, masks)):
            noise = jittering(work.module, self.recipe.jitter, masks), dropping(work.module, self.recipe.drop, masks)
            with work.learned.in_effect(iteration), noise[0], noise[1]:
                loss, event = work.reconstruction.loss(part)
            (share * loss).backward()
            total += share * loss.detach().double()
            events.append((share, event))
        event = _joined(events)
        penalty = work.learned.penalty(iteration)
        if penalty is not None:
            penalty.backward()
            event["terms"]["rounding"] = penalty.detach()
            total += penalty.detach().double()
        work.learned.descend(iteration)
        return as_numbers({"loss": total} | event)

    def _generators(self) -> tuple[torch.Generator, torch.Generator]:
        """What decides a step: one on the CPU, one on the network's device."""
        seed, device = self.seed * 1_000_003 + self.iteration, self.detector.device
        return torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed)

    def _held_back_distortion(self) -> float:
        outputs = run(self.quantized, self.held_back)
        decode = self.detector.decode
        score = self.detector.task.distortion(decode(self.reference), decode(outputs)).score
        return float(score.double().mean())

    def _check(self) -> dict[str, Any]:
        found = self._held_back_distortion()
        if found <= self.best:  # where all objects are lost before and after, the later state is the nearer one
            self.best, self.best_state = found, _copied(self.quantized)
        return {"held_back": found, "best": self.best, "calibrated": self.calibrated}

    def state(self) -> dict[str, Tensor]:
        """Everything that the remaining steps depend on."""
        state = {f"model.{name}": value for name, value in self.quantized.state_dict().items()}
        state |= {f"best.{name}": value for name, value in self.best_state.items()}
        if self.work:
            parts = {
                "start": self.work.start,
                "learned": self.work.learned.state(),
                "task": self.work.reconstruction.state(),
            }
            state |= {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        state["scores"] = torch.tensor([self.best, self.calibrated], dtype=torch.float64)
        state["iteration"] = torch.tensor(self.iteration)
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on as the tuner whose :meth:`state` this is."""
        self.quantized.load_state_dict(under("model.", state))
        self.best_state = {name: value.clone() for name, value in under("best.", state).items()}
        self.best, self.calibrated = state["scores"].tolist()
        self.iteration = int(state["iteration"])
        self.work = None
        if start := under("start.", state):
            self._resume(start, state)

    def _resume(self, start: dict[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Begin the unit as it was begun, then bring it to where it was."""
        unit = self.units[self.iteration // self.recipe.iterations]
        module = self.quantized.get_submodule(unit.name if unit else "")
        reached = _copied(module)
        module.load_state_dict(start)
        self.work = self._begin(unit)
        module.load_state_dict(reached)
        self.work.learned.load_state(under("learned.", state))
        self.work.reconstruction.load_state(under("task.", state))


def _joined(events: Sequence[tuple[float, dict[str, Any]]]) -> dict[str, Any]:
    """What is written down of a batch, from what is of its parts and their shares; their terms are numbers."""
    (_, first), *rest = events
    if not rest:
        return first
    return first | {
        "terms": {name: sum(share * each["terms"][name] for share, each in events) for name in first["terms"]}
    }


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _unquantized(detector: Detector, transforms: Sequence[str]) -> Detector:
    """The detector with the module tree of a quantized one that was made with some transforms, at full precision."""
    model = channels_last(convert(detector, Scheme(8, 8), transforms)).requires_grad_(False)
    for _, quantizer in quantizers(model):
        quantizer.active = False
    return model
