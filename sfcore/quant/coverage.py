"""Which layers of a network can be quantized, and where among the others they stand.

A layer can be where its quantized self, with quantization off, computes what the layer computed in each of its calls.
What else multiplies is found among the operations of the pass, and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.capture import outputs_of, watching
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, observe
from sfcore.quant.layers.base import Bits, BitsOf, departure, kind_of, replacement
from sfcore.quant.quantizers import full_precision
from sfcore.quant.same import all_same

FORWARD = "forward"  # stands for the detector's own forward among the names of its modules
# Operations that multiply by a weight, or activations by each other, by ATen's names or parts of them.
_PRODUCTS = ("convolution", "_rnn", "_scaled_dot_product", "multi_head_attention", "transformer_encoder_layer")
_MATRIX_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "linear", "matmul"}
_ELEMENTWISE = (nn.Embedding, nn.LayerNorm)  # have weights of several dimensions, and multiply no matrices

Left = dict[str, str]


def candidates(model: nn.Module) -> dict[str, nn.Module]:
    """The layers of classes that can be quantized, by name; those inside another, as in attention, are parts of it."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if kind_of(module) and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return found


def quantizable(model: Detector, images: Tensor, left: Left) -> tuple[list[str], set[str], set[str]]:
    """Names of the layers that quantized ones can stand for, of the first and of the last of them.

    Args:
        left: gets why others cannot.
    """
    layers: dict[nn.Module, tuple[str, nn.Module]] = {}
    for name, module in candidates(model).items():
        try:
            layers[module] = name, quantized(module, lambda _: Bits(8, 8)).to(images.device)
        except InputError as error:
            left[name] = str(error)
    wrong = _compared(model, images, {module: other for module, (_, other) in layers.items()})
    while True:
        left |= {layers[module][0]: why for module, why in wrong.items()}
        kept = {module: name for module, (name, _) in layers.items() if name not in left}
        seen = _Products(kept, model, images)
        outputs = observe(model, images, seen)
        wrong = dict.fromkeys(seen.read_outside, "its weights are also read outside of it")
        if not wrong:
            left |= {name: why for name, why in seen.outside.items() if name not in left}
            return list(kept.values()), seen.first, set().union(*seen.met(outputs))


def quantized(module: nn.Module, bits_of: BitsOf) -> nn.Module:
    """The quantized layer in place of a candidate.

    Raises:
        InputError: the layer has what cannot be quantized; the message says what.
    """
    build, kind = replacement(module), kind_of(module)
    if build is None:
        assert kind is not None  # it is a candidate
        raise InputError(departure(module, kind))
    for name, parameter in module.named_parameters():
        if parameter.dtype not in (torch.float32, torch.float64):
            raise InputError(f"its {name} is of {parameter.dtype}: only float32 and float64 are quantized")
    return build(module, bits_of)


def _compared(model: nn.Module, images: Tensor, others: Mapping[nn.Module, nn.Module]) -> dict[nn.Module, str]:
    """Which layers compute otherwise, in any of their calls, than what shall stand for them."""
    wrong: dict[nn.Module, str] = {}
    arguments: list[tuple[Any, Any]] = []

    def before(_: nn.Module, args: Any, kwargs: Any) -> None:
        arguments.append((args, kwargs))

    def after(module: nn.Module, _: Any, output: Any) -> None:
        args, kwargs = arguments.pop()
        try:
            with full_precision(others[module]):
                found = outputs_of(others[module](*args, **kwargs))
        except Exception as error:  # a layer may be called in ways that a quantized one does not know
            wrong[module] = f"it is called in a way that is not quantized ({type(error).__name__}: {error})"
            return
        if not all_same(found, outputs_of(output)):
            wrong[module] = "a quantized layer in its place computes something else"

    with torch.no_grad(), watching(others, before, after):
        model(images)
    return wrong


class _Dependence(Observer):
    """Which tensors come from the images, and through which layers last.

    Attributes:
        last: of each memory that holds what comes from the images, the names of the layers met last on the way.
    """

    def __init__(self, layers: Mapping[nn.Module, str], images: Tensor) -> None:
        super().__init__()
        self.layers = layers
        (self.images,) = memories([images])
        self.last: dict[Memory, frozenset[str]] = {self.images: frozenset()}

    def met(self, tensors: Sequence[Tensor]) -> list[frozenset[str]]:
        """Of each tensor that comes from the images, the layers met last. Whole numbers and truths end the way: what
        they choose is not computed from them."""
        known = memories([tensor for tensor in tensors if tensor.is_floating_point()])
        return [self.last[memory] for memory in known if memory in self.last]

    def happened(self, operation: Operation) -> None:
        if self.images in memories(operation.writes):
            raise InputError("the detector writes into its input: let forward work on a copy (images = images.clone())")
        if met := self.met(operation.reads):
            made = [tensor for tensor in (*operation.results, *operation.writes) if tensor.is_floating_point()]
            self.last |= dict.fromkeys(memories(made), frozenset().union(*met))

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        if visit.module in self.layers and self.met(visit.inputs):
            self.last |= dict.fromkeys(memories(outputs), frozenset([self.layers[visit.module]]))


class _Edges(_Dependence):
    """Which layers come first.

    Attributes:
        first: names of those that see the images through no other.
    """

    def __init__(self, layers: Mapping[nn.Module, str], images: Tensor) -> None:
        super().__init__(layers, images)
        self.first: set[str] = set()

    def entered(self, visit: Visit) -> None:
        met = self.met(visit.inputs)
        if visit.module in self.layers and met and not any(met):
            self.first.add(self.layers[visit.module])


class _Products(_Edges):
    """What is multiplied outside of some layers, and whose weights are read outside of them.

    Attributes:
        outside: what modules do themselves, by their names.
        read_outside: the layers.
    """

    def __init__(self, layers: Mapping[nn.Module, str], model: nn.Module, images: Tensor) -> None:
        super().__init__(layers, images)
        self.names = {module: name or FORWARD for name, module in model.named_modules()}
        self.outside: dict[str, str] = {}
        self.read_outside: set[nn.Module] = set()
        self.owners: dict[Memory, set[nn.Module]] = {}
        for layer in layers:
            for memory in memories([*layer.parameters()]):
                self.owners.setdefault(memory, set()).add(layer)

    def happened(self, operation: Operation) -> None:
        super().happened(operation)
        for memory in memories(operation.reads):
            owners = self.owners.get(memory, set())
            if owners and not self.within(owners):
                self.read_outside |= owners
        product = operation.name in _MATRIX_PRODUCTS or any(part in operation.name for part in _PRODUCTS)
        if product and not self.within(self.layers) and self.met(operation.reads):
            module = self.path[-1].module
            said = f"{type(module).__name__} calls {operation.name} itself, not through a known layer"
            self.outside[self.names[module]] = said

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        super().left(visit, outputs)
        weight, known = getattr(visit.module, "weight", None), isinstance(visit.module, _ELEMENTWISE)
        if isinstance(weight, Tensor) and weight.ndim > 1 and not known and not self.within(self.layers):
            said = f"{type(visit.module).__name__} is no layer that is known here"
            self.outside.setdefault(self.names[visit.module], said)


def edge_layers(model: Detector, images: Tensor) -> tuple[set[str], set[str]]:
    """Names of the first layers (nothing quantized before them) and the last (nothing after, up to a head)."""
    return quantizable(model, images, {})[1:]
