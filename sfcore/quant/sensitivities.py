"""How much harm each quantizer does alone at each of some widths: measured once, kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfcore import __version__
from sfcore.detectors.base import Detector
from sfcore.files import explained
from sfcore.json_lines import JsonLines
from sfcore.quant.criteria import CRITERIA, GradientCriterion, OutputCriterion
from sfcore.quant.criteria.mse import scale
from sfcore.quant.hooks import hooks
from sfcore.quant.inference import channels_last, prepared, run
from sfcore.quant.quantizers import quantizers
from sfcore.quant.ranges import WEIGHT, Ranges
from sfcore.resources import cache

DRAWS = 8  # of random signs behind an estimate by gradients, for each batch
GRADIENT_BATCH = 4  # frames of a backward pass, which keeps all activations
KEPT = 2  # of the files' form
LINE = range(3, 9)  # bits at which a line is put through harms

Place = tuple[str, int]  # a quantizer, and its bits
Progress = Callable[[int, int], None]
ByOutputs = Callable[
    [Ranges, Tensor, Mapping[str, type[OutputCriterion]], Sequence[Place]], Iterable[tuple[Place, dict[str, float]]]
]


class _Cores:
    """PyTorch's threads, which are one number for the whole process: each measurement takes them one by one, and the
    last one that ends gives them back."""

    def __init__(self) -> None:
        self._lock, self._users, self._whole = Lock(), 0, 1

    @property
    def count(self) -> int:
        """How many there are to be divided."""
        with self._lock:
            return self._whole if self._users else torch.get_num_threads()

    def divide(self) -> None:
        """From now on there are measurements."""
        with self._lock:
            self._whole = self._whole if self._users else torch.get_num_threads()
            self._users += 1

    def unite(self) -> None:
        """One measurement has ended."""
        with self._lock:
            self._users -= 1
            torch.set_num_threads(1 if self._users else self._whole)


_cores = _Cores()


@dataclass(frozen=True)
class Sensitivities:
    """The harm of each quantizer alone.

    Attributes:
        criterion: that it was measured by.
        harm: by quantizer and bits, as measured.
    """

    criterion: str
    harm: Mapping[Place, float]

    def never_rising(self) -> dict[Place, float]:
        """The same with no more harm at more bits than at fewer: what is measured so is chance, and a solver would
        build on it."""
        found: dict[Place, float] = {}
        for name, known in self._by_quantizer().items():
            most = accumulate((known[bits] for bits in sorted(known, reverse=True)), max)
            found |= {(name, bits): value for bits, value in zip(sorted(known, reverse=True), most, strict=True)}
        return found

    def smoothed(self) -> Sensitivities:
        """The same with less chance in it: the geometric mean of what was measured and of what a line through it says.

        Each bit more halves the step, so the logarithm of harm falls about evenly with bits; but where a few frames are
        all that there is to see, each width is one draw of its rounding errors. The line is of LINE's widths, between
        those at which nothing is found any more and those at which nothing is wrong.
        """
        found = dict(self.harm)
        for name, known in self._by_quantizer().items():
            fitted = [bits for bits in known if bits in LINE and known[bits] > 0]
            if len(fitted) < 3:
                continue
            slope, start = np.polyfit(fitted, np.log(np.array([known[bits] for bits in fitted])), 1)
            for bits in known:
                found[name, bits] = float(np.sqrt(known[bits] * np.exp(start + slope * bits)))
        return Sensitivities(self.criterion, found)

    def _by_quantizer(self) -> dict[str, dict[int, float]]:
        found: dict[str, dict[int, float]] = {}
        for (name, bits), value in self.harm.items():
            found.setdefault(name, {})[bits] = value
        return found


def sensitivities(
    ranges: Ranges,
    frames: Tensor,
    widths: Iterable[int],
    criterion: str = "distortion",
    progress: Progress | None = None,
    keep: bool = True,
    outputs: ByOutputs | None = None,
) -> Sensitivities:
    """Measure each quantizer alone at each width by one criterion; see :func:`by_criteria`."""
    return by_criteria(ranges, frames, widths, [criterion], progress, keep, outputs)[criterion]


def by_criteria(
    ranges: Ranges,
    frames: Tensor,
    widths: Iterable[int],
    criteria: Sequence[str],
    progress: Progress | None = None,
    keep: bool = True,
    outputs: ByOutputs | None = None,
) -> dict[str, Sensitivities]:
    """Measure each quantizer alone at each width, in as many threads as PyTorch has; what is known is not repeated.

    Args:
        ranges: of the quantizers of a detector.
        frames: (N, ...), as :meth:`InputSpec.stack` gives: (N, 3, H, W) uint8 of images.
        widths: bits.
        criteria: by name; those that are told from outputs share the passes of the network, so do those of gradients.
        progress: called with (places done, in all).
        keep: whether what is measured is kept in the user's cache, and taken from there.
        outputs: measures what is told from outputs in place of :func:`by_outputs`.

    Raises:
        InputError: there is no such criterion, or the cache cannot be written.
    """
    places = [(name, bits) for bits in sorted(set(widths)) for name in ranges.names]
    kept = {name: _Kept(_file(ranges, frames, name) if keep else None) for name in criteria if CRITERIA[name]}
    for base, measure in ((OutputCriterion, outputs or by_outputs), (GradientCriterion, _by_gradients)):
        kinds: dict[str, Any] = {name: CRITERIA[name] for name in criteria if issubclass(CRITERIA[name], base)}
        todo = [place for place in places if any(place not in kept[name].known for name in kinds)]
        for done, (place, harms) in enumerate(measure(ranges, frames, kinds, todo) if todo else (), 1):
            for name, harm in harms.items():
                kept[name].add(place, harm)
            if progress:
                progress(len(places) - len(todo) + done, len(places))
    return {name: Sensitivities(name, {place: kept[name].known[place] for place in places}) for name in criteria}


class _Kept:
    """What is known, and the file that it is kept in; several processes may write it at a time."""

    def __init__(self, path: Path | None) -> None:
        self.lines = JsonLines(path) if path else None
        self.known: dict[Place, float] = {}
        for line in self.lines.read()[0] if self.lines else []:
            with suppress(KeyError, OverflowError, TypeError, ValueError):
                if isfinite(harm := float(line["harm"])):
                    self.known[str(line["quantizer"]), int(line["bits"])] = harm

    def add(self, place: Place, harm: float) -> None:
        if place in self.known:
            return
        self.known[place] = harm
        if self.lines:
            self.lines.append({"quantizer": place[0], "bits": place[1], "harm": harm})


def _file(ranges: Ranges, frames: Tensor, criterion: str) -> Path:
    """Where what is measured is kept: another file for other ranges, frames, versions of this, or another criterion."""
    folder = cache() / "layers"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256(json.dumps([KEPT, __version__, criterion, ranges.key, list(frames.shape)]).encode())
    found.update(frames.cpu().contiguous().numpy().tobytes())
    return folder / f"{found.hexdigest()[:32]}.jsonl"


def by_outputs(
    ranges: Ranges, frames: Tensor, kinds: Mapping[str, type[OutputCriterion]], todo: Sequence[Place]
) -> Iterator[tuple[Place, dict[str, float]]]:
    """Switch one quantizer on at a time; the harm of each place, by criterion, in their order. Each thread has a model
    of its own, and one core for it: layers this small are done before a second core has begun."""
    models = [_off(ranges) for _ in range(min(_cores.count, len(todo)))]
    reference = run(models[0], frames)
    criteria = {name: kind(models[0], reference) for name, kind in kinds.items()}
    free = SimpleQueue[Detector]()
    for model in models:
        free.put(model)

    def measured(place: Place) -> dict[str, float]:
        model, (name, bits) = free.get(), place
        try:
            ranges.put(model, {name: bits})
            outputs = run(model, frames)
            ranges.put(model, {name: None})
        finally:
            free.put(model)
        return {criterion: each.harm(outputs) for criterion, each in criteria.items()}

    pool = ThreadPoolExecutor(len(models), initializer=torch.set_num_threads, initargs=(1,))
    _cores.divide()
    try:
        yield from zip(todo, pool.map(measured, todo), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
        _cores.unite()


def _off(ranges: Ranges) -> Detector:
    """A copy in full precision, whose quantizers can be switched on."""
    model = channels_last(ranges.copy())
    ranges.put(model, dict.fromkeys(ranges.names))
    return model


def _by_gradients(
    ranges: Ranges, frames: Tensor, kinds: Mapping[str, type[GradientCriterion]], todo: Sequence[Place]
) -> Iterator[tuple[Place, dict[str, float]]]:
    """All quantizers from the same few backward passes, a head's outputs being told as shares of the root of the sum of
    their squares over all frames."""
    model, signs = _off(ranges), torch.Generator().manual_seed(0)
    sizes = {head: (scale(values) * values.numel()) ** 0.5 for head, values in run(model, frames).items()}
    harm = {place: dict.fromkeys(kinds, 0.0) for place in todo}
    bits = {name: [place for place in todo if place[0] == name] for name in ranges.names}
    for part in frames.split(GRADIENT_BATCH):
        read = list[tuple[str, Tensor]]()
        with _recorded(model, read):
            outputs = model(prepared(model, part).requires_grad_())
        values = [value for _, value in read]
        for draw in range(DRAWS):
            product = torch.stack([_signed_sum(outputs[head], signs) / size for head, size in sizes.items()]).sum()
            gradients = torch.autograd.grad(product, values, retain_graph=draw < DRAWS - 1, allow_unused=True)
            for (name, value), gradient in zip(read, gradients, strict=True):
                for place in bits[name] if gradient is not None else ():
                    error = _error(ranges, model, place, value)
                    for criterion, kind in kinds.items():
                        harm[place][criterion] += kind.harm_of(gradient, error) / DRAWS
    yield from harm.items()


@contextmanager
def _recorded(model: Detector, read: list[tuple[str, Tensor]]) -> Iterator[None]:
    """Within the block ``read`` gets what each quantizer lets pass, by its name, with a gradient: activations call by
    call, a weight once, however many calls read it."""
    names: dict[nn.Module, str] = {quantizer: name for name, quantizer in quantizers(model)}
    weights: dict[nn.Module, Tensor] = {}

    def after(quantizer: nn.Module, _: Any, value: Tensor) -> Tensor:
        if quantizer in weights:
            return weights[quantizer]
        kept = value.clone()  # what the layer reads is then changed in place by nobody
        read.append((names[quantizer], kept if kept.requires_grad else kept.requires_grad_()))
        if names[quantizer].endswith(WEIGHT):
            weights[quantizer] = kept
        return kept

    with torch.enable_grad(), hooks(names, after=after):
        yield


def _signed_sum(head: Tensor, signs: torch.Generator) -> Tensor:
    """v · y of random signs v, y being a head's outputs."""
    random = torch.randint(0, 2, head.shape, generator=signs).to(head) * 2 - 1
    return (random * head).sum()


@torch.no_grad()
def _error(ranges: Ranges, model: Detector, place: Place, value: Tensor) -> Tensor:
    """What a quantizer adds to values."""
    name, bits = place
    ranges.put(model, {name: bits})
    error = model.get_submodule(name)(value) - value
    ranges.put(model, {name: None})
    return error
