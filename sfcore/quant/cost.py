"""What a scheme costs on an integer machine: average bits, and bit operations per image.

A product of a w-bit and an a-bit number takes w·a bit operations, so a layer takes MACs · w · a (van Baalen et al.
2020, Bayesian Bits, section 3.2 and appendix B.2.1); a product of two activations takes MACs · a · a. What stays in
full precision counts 32 bits. Only products are counted, as is usual: no sums, norms and activation functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sfcore.detectors.base import Detector
from sfcore.detectors.layers import Add
from sfcore.quant.capture import watching
from sfcore.quant.convert import convert, example
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer, full_precision
from sfcore.quant.scheme import FULL, Bits, Scheme
from sfcore.quant.transforms import USUAL

PREFIXES = ("", "k", "M", "G", "T", "P")  # of numbers a thousand times as large each
# What torch's counter does not know, by the shapes of what is read: products with a vector, and on the CPU a recurrent
# layer, whose input (T, B, C) goes through the first of two weights, and its state through the second.
_MORE: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: lambda a, *_, **__: 2 * prod(a),
    torch.ops.aten.addmv: lambda _, a, *__, **___: 2 * prod(a),
    torch.ops.aten.dot: lambda a, *_, **__: 2 * prod(a),
    torch.ops.aten.mkldnn_rnn_layer: lambda x, a, b, *_, **__: 2 * x[0] * x[1] * (prod(a) + prod(b)),
}


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
        average_weight_bits: over all weights of more than one dimension, those in full precision included.
        average_activation_bits: over all values that quantized layers read.
        bops: bit operations, of all products.
    """

    average_weight_bits: float
    average_activation_bits: float
    bops: int

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Cost:
        """What :meth:`to_dict` gave."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})

    def to_dict(self, scheme: Scheme) -> dict[str, Any]:
        """For JSON, with the scheme's name."""
        return {"name": scheme.name, **asdict(self)}

    def __str__(self) -> str:
        weights, activations = self.average_weight_bits, self.average_activation_bits
        return (
            f"{weights:.2f} bits a weight, {activations:.2f} an activation; {self.operations} bit operations an image"
        )

    @property
    def operations(self) -> str:
        """The bit operations as people say them: "5.45 G"."""
        number = float(f"{self.bops:.2e}")  # three digits
        size = min((len(f"{number:.0f}") - 1) // 3, len(PREFIXES) - 1)
        return f"{number / 1000**size:.3g} {PREFIXES[size]}".rstrip()


@dataclass(frozen=True)
class Layer:
    """A quantized layer, or a product of two activations, at work on one image.

    Attributes:
        weights: how many it has; 0 for a product of activations.
        values: how many activations it reads, over all its calls.
        macs: multiplications, each with an addition.
        edge, head: as of :meth:`Scheme.bits_of`.
        whole: the name of the layer that it is a part of, as of attention; "" where it is one itself.
    """

    name: str
    weights: int
    values: int
    macs: int
    edge: bool
    head: bool
    whole: str = ""


@dataclass(frozen=True)
class Profile:
    """What a detector computes for one image, layer by layer.

    Attributes:
        layers: those that are quantized, in the order in which data comes to them first.
        weights, macs: of all else.
        vectors: parameters of one dimension or none, such as biases, which stay as they are.
        adds: names of the residual adds that a scheme may quantize; they multiply nothing and cost nothing here.
    """

    layers: tuple[Layer, ...]
    weights: int
    macs: int
    vectors: int = 0
    adds: tuple[str, ...] = ()

    @classmethod
    @torch.no_grad()
    def of(cls, detector: Detector, transforms: Sequence[str] = USUAL) -> Profile:
        """The profile of a detector, in a second or a few.

        Args:
            transforms: as of :func:`sfcore.quant.convert.convert`.

        Raises:
            InputError: the detector cannot be quantized.
        """
        places = _Places()
        model = convert(detector, places, transforms)
        layers = {m: name for name, m in model.named_modules() if any(_quantizers(m))}
        counted = _count(model, list(layers), example(detector))
        found = tuple(
            Layer(layers[module], _weights(module), *counts, *places.seen[layers[module]], places.whole(layers[module]))
            for module, counts in counted.items()
            if module in layers
        )
        steps = _steps(model)
        own = [p for p in model.parameters() if p not in steps]
        every = sum(p.numel() for p in own if p.ndim > 1)
        rest = counted[model][1] - sum(layer.macs for layer in found)
        vectors = sum(p.numel() for p in own if p.ndim <= 1)
        adds = tuple(name for name, m in model.named_modules() if isinstance(m, Add))
        return cls(found, every - sum(layer.weights for layer in found), rest, vectors, adds)

    def cost(self, scheme: Scheme) -> Cost:
        """What the detector costs in a scheme.

        Raises:
            InputError: the scheme gives bits to a layer that the detector has not.
        """
        self.check_names(scheme)
        pairs = list(zip(self.layers, self.bits(scheme), strict=True))
        weights = sum(layer.weights * each.weights for layer, each in pairs) + FULL * self.weights
        values = sum(layer.values * each.activations for layer, each in pairs)
        bops = sum(
            layer.macs * (each.weights if layer.weights else each.activations) * each.activations
            for layer, each in pairs
        )
        return Cost(
            weights / max(sum(layer.weights for layer in self.layers) + self.weights, 1),
            values / max(sum(layer.values for layer in self.layers), 1),
            bops + FULL * FULL * self.macs,
        )

    def check_names(self, scheme: Scheme) -> None:
        """Raise InputError if the scheme gives bits to a layer, or to a quantized add, that the detector has not."""
        adds = self.adds if scheme.quantizes_adds else ()
        wholes = {layer.whole for layer in self.layers if scheme.leaves(layer.whole, layer.edge, layer.head)} - {""}
        scheme.check_names([*(layer.name for layer in self.layers), *wholes, *adds])

    def bits(self, scheme: Scheme) -> list[Bits]:
        """What each layer gets; 32 where the scheme leaves it in full precision."""
        return [_bits(scheme, layer) for layer in self.layers]

    def size_bytes(self, scheme: Scheme) -> int:
        """What the weights take in a file that packs them, and all other parameters in 32 bits; step sizes not counted.

        Raises:
            InputError: the scheme gives bits to a layer that the detector has not.
        """
        self.check_names(scheme)
        pairs = zip(self.layers, self.bits(scheme), strict=True)
        packed = sum(layer.weights * each.weights for layer, each in pairs)
        return -(-packed // 8) + (self.weights + self.vectors) * FULL // 8


def _bits(scheme: Scheme, layer: Layer) -> Bits:
    if scheme.leaves(layer.whole or layer.name, layer.edge, layer.head):
        return Bits(FULL, FULL)
    return scheme.bits_of(layer.name, layer.edge, layer.head)


class _Places(Scheme):
    """A scheme that only looks where layers stand."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        object.__setattr__(self, "seen", {})
        object.__setattr__(self, "asked", set())

    seen: dict[str, tuple[bool, bool]]
    asked: set[str]

    def leaves(self, layer: str, edge: bool, head: bool = False) -> bool:
        self.asked.add(layer)
        return super().leaves(layer, edge, head)

    def whole(self, part: str) -> str:
        """The layer that a part belongs to; "" of a layer."""
        return "" if part in self.asked else max((name for name in self.asked if part.startswith(f"{name}.")), key=len)

    def bits_of(self, layer: str, edge: bool, head: bool = False) -> Bits:
        self.seen[layer] = edge, head
        return super().bits_of(layer, edge, head)


def _quantizers(module: nn.Module) -> list[Quantizer]:
    """Those of a module's own."""
    return [child for child in module.children() if isinstance(child, Quantizer)]


def _weights(module: nn.Module) -> int:
    return module.weight.numel() if isinstance(module, QuantLayer) else 0


def _steps(model: nn.Module) -> set[nn.Parameter]:
    """The parameters of its quantizers; tensors are found in a set by what they are, not by their values."""
    return {own for m in model.modules() if isinstance(m, Quantizer) for own in m.parameters()}


def _count(model: Detector, layers: Sequence[nn.Module], inputs: Tensor) -> dict[nn.Module, tuple[int, int]]:
    """(activations read, multiplications) of each layer, in the order of their first calls, and of the model."""
    values, macs = dict.fromkeys([model, *layers], 0), dict.fromkeys([model, *layers], 0)
    readers = {q: layer for layer in layers for q in _quantizers(layer) if q is not _of_weight(layer)}
    counter = FlopCounterMode(display=False, custom_mapping=_MORE)
    begun: list[int] = []
    order = dict[nn.Module, None]()

    def before(module: nn.Module, args: Any, _: Any) -> None:
        order[module] = None
        if module in readers:
            values[readers[module]] += args[0].numel()
        begun.append(counter.get_total_flops())

    def after(module: nn.Module, _: Any, __: Any) -> None:
        start = begun.pop()
        if module in macs:
            macs[module] += (counter.get_total_flops() - start) // 2

    with full_precision(model), _decomposed(), counter, watching([model, *layers, *readers], before, after):
        model(inputs)
    return {module: (values[module], macs[module]) for module in [*order, *macs] if module in macs}


@contextmanager
def _decomposed() -> Iterator[None]:
    """Within the block attention and recurrent layers are the products that they consist of, not one fused call."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel([SDPBackend.MATH]), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _of_weight(layer: nn.Module) -> nn.Module | None:
    return layer.weight_quantizer if isinstance(layer, QuantLayer) else None
