"""The ranges of all quantizers at any bits, found from one look at the frames: what bits are tried out with.

A quantized copy of a detector is calibrated quantizer by quantizer in full precision, so the range of one depends on no
other's bits: copies of all schemes can be put together from what each quantizer has read once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.calibrate import (
    ACTIVATIONS,
    WEIGHTS,
    Observed,
    Progress,
    calibrate_weight,
    observed_activations,
)
from sfcore.quant.calibrators import CALIBRATORS
from sfcore.quant.convert import convert
from sfcore.quant.copies import copied
from sfcore.quant.cost import Profile
from sfcore.quant.fidelity import require_same, said_of
from sfcore.quant.layers import QuantLayer
from sfcore.quant.pipeline import CHECKED
from sfcore.quant.quantizers import Quantizer, full_precision, quantizers
from sfcore.quant.scheme import UNIFORM, Scheme
from sfcore.quant.transforms import TRANSFORMS, USUAL

LEAST = 2  # bits of weights that ranges are of: those of 1 bit have another quantizer
WEIGHT = "weight_quantizer"  # the last part of the name of a weight's quantizer
BitsByName = Mapping[str, int | None]  # of quantizers by name; None leaves one in full precision

_lock = Lock()  # of all models of ranges, which threads share


@dataclass(frozen=True)
class _Range:
    scale: Tensor
    zero: Tensor | None
    signed: bool
    known: bool


@dataclass(frozen=True, eq=False)
class Ranges:
    """The ranges of a detector's quantizers at any bits.

    Attributes:
        model: the converted detector whose quantizers these are; its bits say nothing.
        profile: of the detector.
        base: the scheme whose grids they have (per tensor or not, affine or not).
        key: the same for the same weights, grids, calibrators, transforms and frames: all ranges are the same then.
    """

    model: Detector
    profile: Profile
    base: Scheme
    key: str
    _observed: Mapping[str, Observed]
    _calibrators: tuple[str, str]
    _found: dict[tuple[str, int], _Range] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        detector: Detector,
        base: Scheme,
        batches: Sequence[Tensor],
        weights: str = WEIGHTS,
        activations: str = ACTIVATIONS,
        transforms: Sequence[str] = USUAL,
        progress: Progress | None = None,
    ) -> Ranges:
        """What the quantizers of a detector read on preprocessed ``batches``; the rest as of
        :func:`sfcore.quant.pipeline.quantize`.

        What transforms fit to bits is fitted to those of ``base``.

        Raises:
            InputError: there is no calibrator or transform of a name, a transform changes ranges that were found,
                nothing can be quantized, or the copy would not compute the same with quantization off.
        """
        for name in (weights, activations):
            CALIBRATORS[name]  # refuses an unknown name before anything is computed
        if adjusting := [name for name in transforms if TRANSFORMS[name].adjusts()]:
            raise InputError(
                f"the transform {adjusting[0]} chooses the ranges of one scheme, and here ranges of any bits are "
                "tried out: leave it out"
            )
        about = [type(detector).__name__, weights, activations, base.per_tensor, base.affine, *transforms]
        about += [base.adds, base.target] if base.adds or base.target else []
        about += [base.base] if set(transforms) - set(USUAL) else []
        key = _digest(about, [*detector.state_dict().items(), *((f"batch {n}", x) for n, x in enumerate(batches))])
        base = replace(base, weight_bits=max(base.weight_bits, LEAST), rules=())
        with said_of(detector):
            model = convert(detector, base, transforms)
            for name in transforms:
                TRANSFORMS[name]().fit(model, batches, base)
            with full_precision(model):
                require_same(detector, model, batches[0][:CHECKED])
        seen = {name: found for name, (_, found) in observed_activations(model, batches, progress).items()}
        return cls(model, Profile.of(detector, transforms), base, key, seen, (weights, activations))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The quantizers, in the order of the model's modules."""
        return tuple(name for name, _ in quantizers(self.model))

    def quantizers_of(self, layer: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The quantizers of a layer: those of its weight, and those of the activations that it reads."""
        return self._by_layer[layer]

    @cached_property
    def _by_layer(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        for name in self.names:
            layer, _, part = name.rpartition(".")
            weights, activations = found.get(layer, ((), ()))
            found[layer] = ((*weights, name), activations) if part == WEIGHT else (weights, (*activations, name))
        return found

    def bits(self, scheme: Scheme) -> dict[str, int]:
        """The bits of each quantizer in a scheme.

        Raises:
            InputError: the scheme gives bits to a layer that there is not, weights 1 bit, or has other grids.
        """
        if _grids(scheme) != _grids(self.base):
            raise InputError(f"{scheme.base} has other grids than {self.base.base}, which ranges were found on")
        self.profile.check_names(scheme)
        found: dict[str, int] = {}
        for layer, bits in zip(self.profile.layers, self.profile.bits(scheme), strict=True):
            weights, activations = self.quantizers_of(layer.name)
            if weights and bits.weight_quantizer != UNIFORM:
                raise InputError(
                    f"{scheme.name} gives the weights of {layer.name} {bits.weights} bit: such weights must be tuned, "
                    "so choose 2 or more here, or tune the scheme with the method dir-net"
                )
            found |= dict.fromkeys(weights, bits.weights) | dict.fromkeys(activations, bits.activations)
        for name in self.profile.adds if scheme.quantizes_adds else ():
            found |= dict.fromkeys(self.quantizers_of(name)[1], scheme.bits_of(name, edge=False).activations)
        return found

    def copy(self) -> Detector:
        """A model of one's own to :meth:`put` bits into."""
        with _lock:
            return copied(self.model)

    def quantized(self, scheme: Scheme) -> Detector:
        """A calibrated copy in a scheme: what :func:`sfcore.quant.pipeline.quantize` makes without bias correction.

        Raises:
            InputError: as of :meth:`bits`, or a value is not finite.
        """
        model = self.copy()
        self.put(model, self.bits(scheme))
        return model

    @torch.no_grad()
    def put(self, model: Detector, bits: BitsByName) -> None:
        """Give quantizers of a :meth:`copy` bits and the ranges that go with them; others keep theirs.

        Raises:
            InputError: a value is not finite.
        """
        for name, number in bits.items():
            quantizer = model.get_submodule(name)
            assert isinstance(quantizer, Quantizer)
            quantizer.active = number is not None
            if number is not None:
                self._put(name, quantizer, number)

    def _put(self, name: str, quantizer: Quantizer, bits: int) -> None:
        found = self._found.get((name, bits)) or self._calibrated(name, bits)
        quantizer.bits = bits
        if found.known:
            quantizer.set_range(found.scale, found.signed, found.zero)
        else:
            quantizer.set_unknown()

    def _calibrated(self, name: str, bits: int) -> _Range:
        """The range of a quantizer, found on the model of our own, one at a time."""
        with _lock:
            quantizer = self.model.get_submodule(name)
            assert isinstance(quantizer, Quantizer)
            quantizer.bits = bits
            weights, activations = (CALIBRATORS[each] for each in self._calibrators)
            if name in self._observed:
                self._observed[name].calibrate(name, quantizer, activations)
            else:
                layer = name.rpartition(".")[0]
                module = self.model.get_submodule(layer)
                assert isinstance(module, QuantLayer)
                calibrate_weight(layer, module, weights)
            zero = None if quantizer.zero is None else quantizer.zero.detach().clone()
            found = _Range(quantizer.scale.detach().clone(), zero, quantizer.signed, quantizer.known)
            self._found[name, bits] = found
            return found


def _grids(scheme: Scheme) -> tuple[bool, bool, bool, str]:
    """What of a scheme is not bits."""
    return scheme.per_tensor, scheme.affine, scheme.adds, scheme.target


def _digest(about: Sequence[Any], tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of what makes ranges what they are."""
    found = hashlib.sha256(json.dumps(about).encode())
    for name, value in tensors:
        found.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
