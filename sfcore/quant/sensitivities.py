"""How much harm each quantizer does alone at each of some widths: measured once, kept, and gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.files import explained
from sfcore.json_lines import JsonLines
from sfcore.quant.criteria import CRITERIA, GradientCriterion, OutputCriterion
from sfcore.quant.criteria.mse import scale
from sfcore.quant.hooks import hooks
from sfcore.quant.inference import channels_last, prepared, run
from sfcore.quant.quantizers import quantizers
from sfcore.quant.ranges import Ranges
from sfcore.resources import cache

DRAWS = 8  # of random signs behind an estimate by gradients, for each batch
GRADIENT_BATCH = 4  # frames of a backward pass, which keeps all activations
KEPT = 1  # of the files' form

Place = tuple[str, int]  # a quantizer, and its bits
Progress = Callable[[int, int], None]


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
        for name in dict.fromkeys(name for name, _ in self.harm):
            widths = sorted(bits for known, bits in self.harm if known == name)
            most = accumulate((self.harm[name, bits] for bits in reversed(widths)), max)
            found |= {(name, bits): value for bits, value in zip(reversed(widths), most, strict=True)}
        return found


def sensitivities(
    ranges: Ranges,
    frames: Tensor,
    widths: Iterable[int],
    criterion: str = "distortion",
    progress: Progress | None = None,
    keep: bool = True,
) -> Sensitivities:
    """Measure each quantizer alone at each width, in as many threads as PyTorch has; what is known is not repeated.

    Args:
        ranges: of the quantizers of a detector.
        frames: (N, ...), as :meth:`InputSpec.stack` gives: (N, 3, H, W) uint8 of images.
        widths: bits.
        progress: called with (places done, in all).
        keep: whether what is measured is kept in the user's cache, and taken from there.

    Raises:
        InputError: there is no such criterion, or the cache cannot be written.
    """
    kind: Any = CRITERIA[criterion]
    measure = _by_outputs if issubclass(kind, OutputCriterion) else _by_gradients
    places = [(name, bits) for bits in sorted(set(widths)) for name in ranges.names]
    kept = _Kept(_file(ranges, frames, criterion) if keep else None)
    todo = [place for place in places if place not in kept.known]
    for place, harm in measure(ranges, frames, kind, todo) if todo else ():
        kept.add(place, harm)
        if progress:
            progress(len(places) - len(todo) + kept.added, len(places))
    return Sensitivities(criterion, {place: kept.known[place] for place in places})


class _Kept:
    """What is known, and the file that it is kept in; several processes may write it at a time."""

    def __init__(self, path: Path | None) -> None:
        self.lines = JsonLines(path) if path else None
        self.known: dict[Place, float] = {}
        self.added = 0
        for line in self.lines.read()[0] if self.lines else []:
            with suppress(KeyError, TypeError, ValueError):
                self.known[str(line["quantizer"]), int(line["bits"])] = float(line["harm"])

    def add(self, place: Place, harm: float) -> None:
        self.known[place], self.added = harm, self.added + 1
        if self.lines:
            self.lines.append({"quantizer": place[0], "bits": place[1], "harm": harm})


def _file(ranges: Ranges, frames: Tensor, criterion: str) -> Path:
    """Where what is measured is kept: another file for other ranges, other frames or another criterion."""
    folder = cache() / "layers"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256(json.dumps([KEPT, criterion, ranges.key, list(frames.shape)]).encode())
    found.update(frames.cpu().contiguous().numpy().tobytes())
    return folder / f"{found.hexdigest()[:32]}.jsonl"


def _by_outputs(
    ranges: Ranges, frames: Tensor, kind: type[OutputCriterion], todo: Sequence[Place]
) -> Iterator[tuple[Place, float]]:
    """Switch one quantizer on at a time. Each thread has a model of its own, and one core for it: layers this small
    are done before a second core has begun."""
    threads = torch.get_num_threads()
    models = [_off(ranges) for _ in range(min(threads, len(todo)))]
    criterion = kind(models[0], run(models[0], frames))
    free = SimpleQueue[Detector]()
    for model in models:
        free.put(model)

    def measured(place: Place) -> float:
        model, (name, bits) = free.get(), place
        try:
            ranges.put(model, {name: bits})
            harm = criterion.harm(run(model, frames))
            ranges.put(model, {name: None})
        finally:
            free.put(model)
        return harm

    pool = ThreadPoolExecutor(len(models), initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from zip(todo, pool.map(measured, todo), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _off(ranges: Ranges) -> Detector:
    """A copy in full precision, whose quantizers can be switched on."""
    model = channels_last(ranges.copy())
    ranges.put(model, dict.fromkeys(ranges.names))
    return model


def _by_gradients(
    ranges: Ranges, frames: Tensor, kind: type[GradientCriterion], todo: Sequence[Place]
) -> Iterator[tuple[Place, float]]:
    """All quantizers from the same few backward passes."""
    model, parts = _off(ranges), frames.split(GRADIENT_BATCH)
    signs = torch.Generator().manual_seed(0)
    harm = dict.fromkeys(todo, 0.0)
    for part in parts:
        read = list[tuple[str, Tensor]]()
        with _recorded(model, read):
            outputs = model(prepared(model, part).requires_grad_())
        values = [value for _, value in read]
        for draw in range(DRAWS):
            product = torch.stack([_signed_sum(value, signs) for value in outputs.values()]).sum()
            gradients = torch.autograd.grad(product, values, retain_graph=draw < DRAWS - 1, allow_unused=True)
            for (name, value), gradient in zip(read, gradients, strict=True):
                for place in todo if gradient is not None else ():
                    if place[0] == name:
                        error = _error(ranges, model, place, value)
                        harm[place] += kind.harm_of(gradient, error) / (DRAWS * len(parts))
    yield from harm.items()


@contextmanager
def _recorded(model: Detector, read: list[tuple[str, Tensor]]) -> Iterator[None]:
    """Within the block ``read`` gets what each quantizer lets pass, by its name, with a gradient."""
    names: dict[nn.Module, str] = {quantizer: name for name, quantizer in quantizers(model)}

    def after(quantizer: nn.Module, _: Any, value: Tensor) -> Tensor:
        kept = value.clone()  # what the layer reads is then changed in place by nobody
        read.append((names[quantizer], kept if kept.requires_grad else kept.requires_grad_()))
        return kept

    with torch.enable_grad(), hooks(names, after=after):
        yield


def _signed_sum(head: Tensor, signs: torch.Generator) -> Tensor:
    """v · y of random signs v, y being a head's outputs as shares of their RMS over the square root of their number."""
    random = torch.randint(0, 2, head.shape, generator=signs).to(head) * 2 - 1
    return (random * head).sum() / (scale(head.detach()) * head.numel()) ** 0.5


@torch.no_grad()
def _error(ranges: Ranges, model: Detector, place: Place, value: Tensor) -> Tensor:
    """What a quantizer adds to values."""
    name, bits = place
    ranges.put(model, {name: bits})
    error = model.get_submodule(name)(value) - value
    ranges.put(model, {name: None})
    return error
