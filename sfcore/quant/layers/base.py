"""What quantized layers share, and the registry of which layer replaces which."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import sfcore.quant.layers as package
from sfcore.passes import kept
from sfcore.quant.quantizers import QUANTIZERS, Quantizer
from sfcore.quant.scheme import Bits

BitsOf = Callable[[str], Bits]  # of a part of a layer by its name; "" for the layer itself
Build = Callable[[Any, BitsOf], nn.Module]
B = TypeVar("B", bound=Build)

_builders: dict[type[nn.Module], Build] = {}
_lock = threading.RLock()
_loaded = False
HOOKED = "it has forward hooks of its own"
# What a subclass may define anew and still compute the same.
_HARMLESS = {"__init__", "reset_parameters", "extra_repr", "__repr__", "__setstate__", "_load_from_state_dict"}
_HARMLESS |= {name for name in dir(type("", (), {})) if name not in ("__getattribute__", "__setattr__")}


def wraps(*layers: type[nn.Module]) -> Callable[[B], B]:
    """Decorator: the class (or function) below turns one of ``layers`` into a quantized one."""

    def add(build: B) -> B:
        _builders.update(dict.fromkeys(layers, build))
        return build

    return add


def kind_of(layer: nn.Module) -> type[nn.Module] | None:
    """The class of layers, among those that can be quantized, that a layer is of; None where there is none."""
    _load()
    return next((kind for kind in type(layer).__mro__ if kind in _builders), None)


def replacement(layer: nn.Module) -> Build | None:
    """What quantizes this layer, or None when it stays as it is: of another class, or not quite as its class is."""
    kind = kind_of(layer)
    return None if kind is None or departure(layer, kind) else _builders[kind]


def has_hooks(layer: nn.Module) -> bool:
    """Whether a layer's calls are changed or watched from outside."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def departure(layer: nn.Module, kind: type[nn.Module]) -> str:
    """How a layer may compute otherwise than ``kind``, a class that it is of, does; empty where it cannot."""
    if has_hooks(layer):
        return HOOKED
    heirs = [cls for cls in type(layer).__mro__ if issubclass(cls, kind) and cls is not kind]
    own = {name for cls in heirs for name in vars(cls) if hasattr(kind, name) or name in ("weight", "bias")}
    own |= {name for name in vars(layer) if callable(getattr(kind, name, None))}
    if changed := sorted(own - _HARMLESS):
        return f"{type(layer).__name__} changes {changed[0]} of {kind.__name__}"
    return ""


def _load() -> None:
    """Import the files of this package, once, and for all threads at the same time."""
    global _loaded
    if _loaded:
        return
    with _lock:
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        _loaded = True


class QuantLayer(nn.Module):
    """A layer with a weight: quantizes its input per tensor, and its weight per output channel, its first dimension,
    or per tensor.

    Subclasses implement :meth:`compute`. The bias (made if the layer had none) stays in full precision, or is rounded
    as integer kernels hold it in 32 bits.

    Attributes:
        integer_bias: whether it is rounded, where what it is added to is a sum of integers.
        groups: of input channels, each of which output channels of their own read.
        shift, scale: (C,) for each input channel, shaped to broadcast over an input: what is quantized of an input x is
            (x - shift) / scale, and weight and bias undo it (:meth:`reparametrize`). None where nothing is shifted or
            scaled; a state that is loaded says by its keys which there are.
    """

    groups = 1
    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, bits: Bits) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias.detach().clone())
        channels = 1 if bits.per_tensor else len(weight)
        self.weight_quantizer = QUANTIZERS[bits.weight_quantizer](bits.weights, (channels, *[1] * (weight.ndim - 1)))
        self.input_quantizer = activation_quantizer(bits)
        self.integer_bias = bits.integer_bias
        self.register_buffer("shift", None)
        self.register_buffer("scale", None)

    @property
    def channel_axis(self) -> int:
        """Of its input, from the end: the last of linear layers, before the map of convolutions."""
        return 1 - self.weight.ndim

    @property
    def shiftable(self) -> bool:
        """Whether a shift of an input channel is a constant of the output: not where padding adds zeros to it."""
        return True

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The layer's operation."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """Named as in torch, for networks that call their layers by keyword."""
        x = self.input_quantizer(self.presented(input))
        return self.compute(x, self.rounded_weight(), self.rounded_bias())

    def presented(self, x: Tensor) -> Tensor:
        """What is quantized of an input: (x - shift) / scale."""
        x = x if self.shift is None else x - self.shift
        return x if self.scale is None else x / self.scale

    @torch.no_grad()
    def reparametrize(self, scale: Tensor, shift: Tensor | None = None) -> None:
        """Quantize (x̃ - shift) / scale in place of x̃, which is quantized so far, and compute the same.

        The columns of the weight become W · scale, the bias b + W · shift (Wei et al. 2023, Outlier Suppression+,
        eq. 5). Done again, it composes: x̃ is what the one before has made of the input.

        Args:
            scale: (C,) of each input channel; not 0.
            shift: (C,); None for 0.

        Raises:
            ValueError: there is a shift, and the layer is not :attr:`shiftable`.
        """
        before = 1.0 if self.scale is None else self.scale
        if shift is not None:
            if not self.shiftable:
                raise ValueError("a layer that pads its input with zeros takes no shift")
            self.bias.add_((self.weight * self._columns(shift)).flatten(1).sum(1))
            moved = before * shift.reshape(self._form).to(self.weight)
            self.shift = moved if self.shift is None else self.shift + moved
        self.weight.mul_(self._columns(scale))
        self.scale = before * scale.reshape(self._form).to(self.weight)

    @property
    def _form(self) -> tuple[int, ...]:
        """In which values of the input channels broadcast over an input."""
        return (self.weight.shape[1] * self.groups, *[1] * (self.weight.ndim - 2))

    def _columns(self, values: Tensor) -> Tensor:
        """(C,) values of the input channels, to broadcast over a weight (outputs, C / groups, ...)."""
        rows = values.reshape(self.groups, -1).repeat_interleave(len(self.weight) // self.groups, 0)
        return rows.reshape(*rows.shape, *[1] * (self.weight.ndim - 2))

    def _load_from_state_dict(self, state: Any, prefix: str, *more: Any) -> None:
        self.shift = self.weight.new_zeros(self._form) if f"{prefix}shift" in state else None
        self.scale = self.weight.new_ones(self._form) if f"{prefix}scale" in state else None
        super()._load_from_state_dict(state, prefix, *more)

    def bias_step(self) -> Tensor | None:
        """(C,) step sizes of the bias: s_x · s_w of each output channel (Jacob et al. 2018, section 2.4); None where
        the input or the weight is not rounded."""
        rounding = (self.input_quantizer, self.weight_quantizer)
        if not all(each.active and each.known for each in rounding):
            return None
        steps = [each.integers.scale for each in rounding]
        return (steps[0] * steps[1]).flatten().expand(len(self.weight))

    def rounded_weight(self) -> Tensor:
        """The weight as its quantizer gives it back: within :func:`sfcore.passes.forward_passes`, where no gradient is
        asked, rounded twice at most, until it, its steps, its bits or what is active change."""
        weight, quantizer = self.weight, self.weight_quantizer
        if torch.is_grad_enabled() or weight.is_inference():  # tensors of the latter kind count no changes
            return quantizer(weight)
        state = id(weight), weight._version, quantizer.scale._version, quantizer.bits, quantizer.active
        return kept((self, state), lambda: quantizer(weight))

    def rounded_bias(self) -> Tensor:
        """(C,) bias as an engine holds it; its gradient is that of the bias itself.

        One of more than 2^24 steps is what float32 has room for; an exporter sees to it that 32 bits are enough.
        """
        step = self.bias_step() if self.integer_bias else None
        if step is None:
            return self.bias
        rounded = (self.bias.detach() / step).round_().mul_(step)
        return self.bias + (rounded - self.bias).detach() if self.bias.requires_grad else rounded


def activation_quantizer(bits: Bits) -> Quantizer:
    """The quantizer of an activation of these bits."""
    return QUANTIZERS[bits.activation_quantizer](bits.activations, affine=bits.affine, always_signed=bits.signed)
