"""Bits where the prediction needs them: a scheme for a budget, by what each quantizer does alone, and by measuring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from torch import Tensor

from sfcore.datasets.images import evenly
from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.allocate import STRATEGIES, Choices
from sfcore.quant.allocate.base import cheapest
from sfcore.quant.budget import Budget
from sfcore.quant.convert import example
from sfcore.quant.cost import Cost, Layer
from sfcore.quant.criteria import CRITERIA
from sfcore.quant.measuring import Here, Measurer
from sfcore.quant.ranges import Ranges
from sfcore.quant.scheme import EDGE_BITS, Bits, Rule, Scheme
from sfcore.quant.sensitivities import Sensitivities, sensitivities
from sfcore.quant.sharing import sharing
from sfcore.tasks.base import Agreement

BITS = range(2, 17)  # that can be chosen: weights of 1 have another quantizer, and must be tuned
WIDTHS = (3, 4, 5, 6, 8, 16)  # the usual candidates: with 2 bits there is little to be had
ROUNDS = 2  # of measuring what was chosen and adjusting
DRAWS = 8  # allocations that a round measures
ELITE = 2  # the best of them, which the next round starts from
SPREAD = 0.25  # of the logarithms of the factors that a draw multiplies harms with

BASE = Scheme(8, 8)  # whose grids are taken where no others are given
ALONE = 16  # frames that quantizers are measured alone on
BATCH = 8  # frames that a calibration step sees at once

Progress = Callable[[int, int], None]
Report = Callable[[str, int, int], None]
Own = Mapping[str, tuple[int, int]]  # bits of weights and activations that layers have whatever is chosen


@dataclass(frozen=True)
class Constraints:
    """What bits hardware has.

    Attributes:
        candidates: the widths there are, rising.
        equal: whether weights and activations of a layer must have the same bits.
        shared: whether layers that read the same tensor, or tensors that are added or joined, must read it in the same.

    Raises:
        InputError: no candidates, or one outside 2 to 16.
    """

    candidates: tuple[int, ...] = WIDTHS
    equal: bool = False
    shared: bool = False

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InputError(f"there are no candidates: give widths from {BITS.start} to {BITS.stop - 1}")
        if odd := [bits for bits in self.candidates if bits not in BITS]:
            raise InputError(f"{odd[0]} bits are no candidate: choose from {BITS.start} to {BITS.stop - 1}")
        object.__setattr__(self, "candidates", tuple(sorted(set(self.candidates))))


@dataclass(frozen=True)
class Allocation:
    """Bits for all layers, and what they come to.

    Attributes:
        scheme: that gives them.
        cost, size_bytes: of the scheme.
        predicted: the total harm that the strategy believed in, in the criterion's own unit.
        measured: agreement with full precision of the calibrated model on the allocator's frames; biases as they are.
    """

    scheme: Scheme
    cost: Cost
    size_bytes: int
    predicted: float
    measured: Agreement


class Allocator:
    """Allocates bits to the layers of one detector.

    Args:
        ranges: of its quantizers.
        found: how much harm each does alone.
        frames: (N, ...) stacked, that allocations are measured on.
        constraints: of the hardware.
        measurer: who measures allocations; this process where it is None.

    Raises:
        InputError: a candidate was not measured.
    """

    def __init__(
        self,
        ranges: Ranges,
        found: Sensitivities,
        frames: Tensor,
        constraints: Constraints,
        measurer: Measurer | None = None,
    ) -> None:
        self.ranges, self.frames, self.constraints = ranges, frames, constraints
        self._measurer = measurer or Here(ranges)
        self.layers: tuple[Layer, ...] = ranges.profile.layers
        self.power = CRITERIA[found.criterion].power
        self.harm = {place: value**self.power for place, value in found.smoothed().never_rising().items()}
        self.measured: dict[Scheme, Agreement] = {}
        self.widths = sorted({bits for _, bits in self.harm})
        if missing := sorted(set(constraints.candidates) - set(self.widths)):
            raise InputError(f"the layers were not measured at {missing[0]} bits: measure them with that candidate")

    def allocate(
        self,
        budgets: Sequence[Budget],
        strategy: str = "milp",
        rounds: int = ROUNDS,
        own: Own | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Allocation:
        """Choose bits within budgets, all of which hold.

        What quantizers do alone does not tell what they do together. So allocations are measured and the harms
        adjusted, by the cross-entropy method (Rubinstein 1999): a round draws factors for all harms, measures the
        allocations that the strategy chooses with them, and goes on from the factors of the best.

        Args:
            strategy: by name.
            rounds: of measuring and adjusting; 0 takes the first choice.
            own: bits that are not to be chosen.
            seed: of the factors.
            progress: called with (allocations measured, in all).

        Raises:
            InputError: there is no such strategy, a budget cannot be met, a layer of ``own`` is unknown, or rounds are
                fewer than 0.
        """
        check_rounds(rounds)
        draws = np.random.default_rng(seed % 2**64)  # of which negative ones are none
        found = list[tuple[float, Scheme, np.ndarray]]()
        factors = np.zeros((1, len(self.ranges.names)))
        for number in range(1 + rounds):
            if number:
                found = sorted(found, key=lambda each: each[0])[:ELITE]
                elite = np.mean([some for *_, some in found], axis=0)
                factors = elite + SPREAD * draws.standard_normal((DRAWS, len(elite)))
            schemes = self.chosen(budgets, strategy, own, factors)
            for done, agreed in enumerate(self.measure_all(schemes)):
                found.append((agreed.distortion, schemes[done], factors[done]))
                if progress:
                    progress(1 + done + (number and 1 + (number - 1) * DRAWS), 1 + rounds * DRAWS)
        return self.described(min(found, key=lambda each: each[0])[1])

    def chosen(
        self,
        budgets: Sequence[Budget],
        strategy: str = "milp",
        own: Own | None = None,
        factors: np.ndarray | None = None,
    ) -> list[Scheme]:
        """What a strategy chooses within budgets by what quantizers do alone.

        Args:
            factors: (N, Q) logarithms of what the harms of quantizers are multiplied by, for each of N choices; one
                choice without any where it is None.

        Raises:
            InputError: as of :meth:`allocate`.
        """
        choose, choices = STRATEGIES[strategy], self.choices(budgets, own)
        choice, quantizer, alone = self._parts(choices)
        found = []
        for some in np.zeros((1, len(self.ranges.names))) if factors is None else factors:
            harm = np.bincount(choice, np.exp(some)[quantizer] * alone, len(choices.layer))
            found.append(self._scheme(choices, choose(replace(choices, harm=harm))))
        return found

    def described(self, scheme: Scheme) -> Allocation:
        """What any scheme comes to. Raises InputError: it gives bits to a layer that there is not."""
        profile, places = self.ranges.profile, self.ranges.bits(scheme)
        total = sum(self._alone(name, bits) for name, bits in places.items())
        size, measured = profile.size_bytes(scheme), self.measure(scheme)
        return Allocation(scheme, profile.cost(scheme), size, total ** (1 / self.power), measured)

    def measure(self, scheme: Scheme, frames: Tensor | None = None) -> Agreement:
        """Agreement of the calibrated model with full precision, on the allocator's frames or others."""
        return next(self.measure_all([scheme], frames))

    def measure_all(self, schemes: Sequence[Scheme], frames: Tensor | None = None) -> Iterator[Agreement]:
        """:meth:`measure` of each scheme, in their order, as they are found."""
        known = self.measured if frames is None else {}
        missing = [scheme for scheme in dict.fromkeys(schemes) if scheme not in known]
        found = zip(missing, self._measurer.agreements(missing, self.frames if frames is None else frames), strict=True)
        for scheme in schemes:
            if scheme not in known:
                known.update([next(found)])
            yield known[scheme]

    @cached_property
    def _tied(self) -> tuple[tuple[int, ...], ...]:
        """Layers, by their places, whose activations must have the same bits."""
        if not self.constraints.shared:
            return ()
        place = {layer.name: index for index, layer in enumerate(self.layers)}
        groups = sharing(self.ranges.copy(), example(self.ranges.model))
        named = [sorted({place[name.rpartition(".")[0]] for name in group}) for group in groups]
        return tuple(map(tuple, _joined(named)))

    @property
    def top(self) -> Scheme:
        """All layers at the largest candidate: what percent of a budget are of."""
        most = self.constraints.candidates[-1]
        return Scheme(most, most)

    @property
    def least(self) -> Scheme:
        """The fewest bits that all layers may get."""
        choices = self.choices([])
        return self._scheme(choices, cheapest(choices))

    def choices(self, budgets: Sequence[Budget], own: Own | None = None) -> Choices:
        """What there is to choose among. Raises InputError: a layer of ``own`` is unknown."""
        given = dict(own or {})
        if odd := sorted(given.keys() - {layer.name for layer in self.layers}):
            raise InputError(f"bits are given to {odd[0]}, but no quantized layer is called so")
        rows = [
            (place, weights, activations)
            for place, layer in enumerate(self.layers)
            for weights, activations in self._bits(layer, given.get(layer.name))
        ]
        place, weights, activations = (np.array(column) for column in zip(*rows, strict=True))
        limits = [limit for budget in budgets for limit in budget.limits(self.ranges.profile, self.top)]
        use = np.array([limit.use(place, weights, activations) for limit in limits]).reshape(len(limits), len(rows))
        return Choices(place, weights, activations, np.zeros(len(rows)), use, tuple(limits), self._tied)

    def _bits(self, layer: Layer, own: tuple[int, int] | None) -> list[tuple[int, int]]:
        """What a layer may get: a first or last one, at least 8 bits where there is such a candidate."""
        if own:
            return [(own[0] if layer.weights else 0, own[1])]
        widths = self.constraints.candidates
        if layer.edge:
            widths = tuple(bits for bits in widths if bits >= EDGE_BITS) or widths[-1:]
        pairs = product(widths if layer.weights else (0,), widths)
        return [(w, a) for w, a in pairs if not (self.constraints.equal and w and w != a)]

    def _alone(self, name: str, bits: int) -> float:
        """The harm of one quantizer; at bits that were not measured, of the next fewer that were."""
        known = [each for each in self.widths if each <= bits] or self.widths
        return self.harm[name, max(known)]

    def _parts(self, choices: Choices) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(P,) what the harm of choices consists of: the choice, the quantizer, and its harm alone."""
        place = {name: index for index, name in enumerate(self.ranges.names)}
        found = []
        columns = (choices.layer.tolist(), choices.weights.tolist(), choices.activations.tolist())
        for index, (layer, weights, activations) in enumerate(zip(*columns, strict=True)):
            own, others = self.ranges.quantizers_of(self.layers[layer].name)
            for name, bits in [*((name, weights) for name in own), *((name, activations) for name in others)]:
                found.append((index, place[name], self._alone(name, bits)))
        choice, quantizer, harm = zip(*found, strict=True)
        return np.array(choice), np.array(quantizer), np.array(harm)

    def _scheme(self, choices: Choices, chosen: np.ndarray) -> Scheme:
        bits = zip(choices.weights[chosen].tolist(), choices.activations[chosen].tolist(), strict=True)
        return scheme_of(self.layers, list(bits), self.ranges.base)


def allocator(
    detector: Detector,
    frames: Tensor,
    constraints: Constraints = Constraints(),
    criterion: str = "distortion",
    base: Scheme | None = None,
    report: Report | None = None,
    keep: bool = True,
    measurer: Measurer | None = None,
) -> Allocator:
    """Calibrate a detector at all widths and measure each of its quantizers alone.

    Args:
        frames: (N, ...) stacked; all are calibrated on and allocations measured on, some evenly spaced ones are what
            quantizers are measured alone on.
        criterion: of harm, by name.
        base: a scheme whose grids are taken.
        report: called with (phase, done, total).
        keep: as of :func:`sfcore.quant.sensitivities.sensitivities`.
        measurer: who measures; this process where it is None.

    Raises:
        InputError: there is no such criterion, or the detector cannot be quantized.
    """

    def phase(name: str) -> Progress | None:
        return None if report is None else lambda done, total: report(name, done, total)

    some = frames[evenly(range(len(frames)), min(ALONE, len(frames)))]
    batches = [detector.preprocessing.normalize(part.to(detector.device)) for part in frames.split(BATCH)]
    ranges = Ranges.of(detector, base or BASE, batches, progress=phase("calibrating"))
    measurer, told = measurer or Here(ranges), phase("measuring layers")
    found = sensitivities(ranges, some, constraints.candidates, criterion, told, keep, measurer.harms)
    return Allocator(ranges, found, frames, constraints, measurer)


def check_rounds(rounds: int) -> None:
    """Refuse rounds that are not possible. Raises InputError: they are fewer than 0."""
    if rounds < 0:
        raise InputError(f"{rounds} rounds are not possible: choose 0 or more")


def scheme_of(layers: Sequence[Layer], bits: Sequence[tuple[int, int]], grids: Scheme) -> Scheme:
    """The scheme that gives each layer its bits: the commonest as the default, and rules for the others.

    Args:
        bits: of weights and activations; a product of activations has 0 for its weights.
        grids: a scheme that says the rest.
    """
    counted = Counter(pair for layer, pair in zip(layers, bits, strict=True) if pair[0] and not layer.edge)
    most = counted.most_common(1)[0][0] if counted else (EDGE_BITS, EDGE_BITS)
    base = replace(grids, weight_bits=most[0], activation_bits=most[1], rules=())
    rules = []
    for layer, (weights, activations) in zip(layers, bits, strict=True):
        usual: Bits = base.bits_of(layer.name, layer.edge, layer.head)
        if (weights or usual.weights, activations) != (usual.weights, usual.activations):
            rules.append(Rule(layer.name, weights or None, activations))
    return replace(base, rules=tuple(rules))


def _joined(groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups that have a member in common become one; those of a single one are dropped."""
    found: list[set[int]] = []
    for group in groups:
        meeting = [each for each in found if each & set(group)]
        found = [each for each in found if each not in meeting] + [set(group).union(*meeting)]
    return [sorted(group) for group in found if len(group) > 1]
