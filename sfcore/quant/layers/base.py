"""What quantized layers share, and the registry of which layer replaces which."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import sfcore.quant.layers as package
from sfcore.quant.quantizer import FakeQuantizer
from sfcore.quant.scheme import Bits

BitsOf = Callable[[str], Bits]  # of a part of a layer by its name; "" for the layer itself
Build = Callable[[Any, BitsOf], nn.Module]
B = TypeVar("B", bound=Build)

_builders: dict[type[nn.Module], Build] = {}
_loaded: list[bool] = []


def wraps(layer: type[nn.Module]) -> Callable[[B], B]:
    """Decorator: the class (or function) below turns a ``layer`` into a quantized one."""

    def add(build: B) -> B:
        _builders[layer] = build
        return build

    return add


def replacement(layer: nn.Module) -> Build | None:
    """What quantizes this layer, or None when it stays as it is."""
    if not _loaded:
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        _loaded.append(True)
    return _builders.get(type(layer))


class QuantLayer(nn.Module):
    """A layer with a weight: quantizes its input per tensor, and its weight per output channel, its first dimension,
    or per tensor.

    Subclasses implement :meth:`compute`. The bias (made if the layer had none) stays in full precision, as
    integer kernels keep it in 32 bits.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, bits: Bits) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias.detach().clone())
        channels = 1 if bits.per_tensor else len(weight)
        self.weight_quantizer = FakeQuantizer(bits.weights, (channels, *[1] * (weight.ndim - 1)))
        self.input_quantizer = FakeQuantizer(bits.activations, affine=bits.affine)

    def compute(self, x: Tensor, weight: Tensor) -> Tensor:
        """The layer's operation."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(self.input_quantizer(x), self.weight_quantizer(self.weight))
