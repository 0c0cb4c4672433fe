"""Finding the ranges of weights and activations from a few frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.calibrators import Calibrator
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer, full_precision, quantizers

WEIGHTS, ACTIVATIONS = "omse", "moving-average-omse"  # the calibrators of the published run
SAMPLES = 4096  # values of an activation that its range is searched on, per batch
ROOM = 2**22  # values that are made room for at once

Progress = Callable[[int, int], None]


@torch.no_grad()
def calibrate_weights(model: nn.Module, search: Calibrator) -> None:
    """Ranges of all weights: one for each step size that the quantizer has, per output channel or per tensor."""
    for name, module in model.named_modules():
        if isinstance(module, QuantLayer):
            calibrate_weight(name, module, search)


def calibrate_weight(name: str, layer: QuantLayer, search: Calibrator) -> None:
    """The ranges of the weight of one layer, called ``name``."""
    quantizer = layer.weight_quantizer
    _calibrate(f"{name}.weight", quantizer, [layer.weight.reshape(quantizer.scale.numel(), -1)], True, search)


@dataclass(frozen=True)
class Observed:
    """What an activation quantizer reads on some frames.

    Attributes:
        samples: (N,) values of each batch; none where no frame led there.
        least: the smallest value, 0 at most.
    """

    samples: Sequence[Tensor]
    least: float

    def calibrate(self, name: str, quantizer: Quantizer, search: Calibrator) -> None:
        """Give the quantizer the range that a calibrator finds for these values: unsigned where none is negative.

        Args:
            name: of the quantizer, for messages.

        Raises:
            InputError: a value is not finite.
        """
        if self.samples:
            rows = [values.unsqueeze(0) for values in self.samples]
            _calibrate(name, quantizer, rows, self.least < 0, search)
        else:
            quantizer.set_unknown()


@torch.no_grad()
def calibrate_activations(
    model: Detector, batches: Sequence[Tensor], search: Calibrator, progress: Progress | None = None
) -> None:
    """The range of every activation tensor.

    A tensor that is nowhere negative gets the unsigned integers.

    Raises:
        InputError: a value is not finite, or negative where the bits have no sign; the message names all such layers.
    """
    found = observed_activations(model, batches, progress)
    _refuse_signs([name for name, (quantizer, seen) in found.items() if not quantizer.takes(seen.least < 0)])
    for name, (quantizer, seen) in found.items():
        seen.calibrate(name, quantizer, search)


@torch.no_grad()
def observed_activations(
    model: Detector, batches: Sequence[Tensor], progress: Progress | None = None
) -> dict[str, tuple[Quantizer, Observed]]:
    """What every activation quantizer reads in full precision, by its name; values at even distances."""
    watched = {q: name for name, q in quantizers(model) if not name.endswith("weight_quantizer")}
    samples: dict[Quantizer, list[Tensor]] = {q: [] for q in watched}
    least: dict[Quantizer, float] = {}
    room = _Room()

    def before(quantizer: Quantizer, inputs: Any) -> None:
        x = inputs[0]
        ends = torch.stack(x.aminmax())
        least[quantizer] = min(least.get(quantizer, 0.0), float(ends[0]))
        kept = ends if quantizer.zero is not None else _largest(x, ends)
        samples[quantizer].append(room.kept(_subsample(x.flatten(), SAMPLES, kept)))

    with full_precision(model), hooks(watched, before=before):
        for done, batch in enumerate(batches, 1):
            model(batch)
            if progress:
                progress(done, len(batches))
    return {watched[q]: (q, Observed(seen, least.get(q, 0.0))) for q, seen in samples.items()}


class _Room:
    """Keeps small tensors in few large ones.

    Each kept where it was made, between the large activations that come and go, it would leave gaps that no
    activation fits into, and memory would grow with every batch.
    """

    def __init__(self) -> None:
        self.left = torch.empty(0)

    def kept(self, values: Tensor) -> Tensor:
        """A copy of (N,) values."""
        if len(values) > len(self.left) or values.device != self.left.device:
            self.left = values.new_empty(max(ROOM, len(values)))
        kept, self.left = self.left[: len(values)], self.left[len(values) :]
        return kept.copy_(values)


def _calibrate(name: str, quantizer: Quantizer, batches: Sequence[Tensor], negative: bool, search: Calibrator) -> None:
    """Give a quantizer the range that the calibrator finds.

    Args:
        batches: values, each (C, N) with a row for each step size.
        negative: whether there are negative values.

    Raises:
        InputError: a value is not finite, or negative where the bits have no sign.
    """
    if not quantizer.takes(negative):
        _refuse_signs([name])
    if not all(values.isfinite().all() for values in batches):
        raise InputError(f"{name} of the full-precision network holds values that are not finite: mend its weights")
    quantizer.calibrate(batches, negative, search)


def _refuse_signs(names: Sequence[str]) -> None:
    """Raise InputError where there are quantizers, by name, whose bits have no sign for the negative values there."""
    if not names:
        return
    layers = dict.fromkeys(name.rpartition(".")[0] for name in names)
    rules = ",".join(f"{layer}=A8" for layer in layers)
    raise InputError(
        f"1 bit holds 0 and one value more, and {len(names)} activations have negative values, too: add these layers "
        f"with more bits to the scheme (,{rules}), or give activations zero points, as in W1A1-affine"
    )


def _largest(x: Tensor, ends: Tensor) -> Tensor:
    """(1,) the value of the largest magnitude, given the (2,) least and largest; of two, that which comes first."""
    low, high = -ends[0], ends[1]
    if bool(low == high):
        values = x.flatten()
        return values[values.abs().argmax()].reshape(1)
    return ends[:1] if bool(low > high) else ends[1:]


def _subsample(values: Tensor, most: int, ends: Tensor) -> Tensor:
    """At most ``most`` values at even distances, and the ``ends`` with them; all values where there are no more."""
    if len(values) <= most:
        return values.clone()
    step = len(values) // most + 1
    return torch.cat([values[::step], ends])
