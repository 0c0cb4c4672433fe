"""The parts of a network that are reconstructed one after the other, found from its module tree and a forward pass.

A *layer* is a quantized layer or matrix product, those inside attention included. A *block* is the largest module
that is called with tensors and returns tensors, holds more than one layer, and holds no second such module beside
a first (what holds several is a stage): residual blocks, transformer layers, branches of heads. Layers outside all
blocks, such as a stem, are units of their own; attention counts as one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.quant.capture import outputs_of, watching
from sfcore.quant.inference import prepared
from sfcore.quant.layers import QuantLayer
from sfcore.quant.layers.attention import QuantMultiheadAttention
from sfcore.quant.layers.matmul import QuantMatMul

LAYERS = (QuantLayer, QuantMatMul)
ATOMS = (*LAYERS, QuantMultiheadAttention)  # what a block is made of


@dataclass(frozen=True)
class Leaf:
    """A tensor that goes into a unit or comes out of it.

    Attributes:
        axis: along which images are joined to a batch; None for what is the same for all images.
        bytes: of one image.
    """

    axis: int | None
    bytes: int


@dataclass(frozen=True)
class Unit:
    """A module that is reconstructed as one.

    Attributes:
        name: of the module.
        inputs, outputs: of each of its calls in a forward pass.
    """

    name: str
    inputs: tuple[tuple[Leaf, ...], ...]
    outputs: tuple[tuple[Leaf, ...], ...]

    @property
    def calls(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Seen:
    """One call of a module.

    Attributes:
        within: names of the modules that were being called.
        inputs, outputs: shapes and bytes of the tensors.
    """

    within: frozenset[str]
    inputs: list[tuple[torch.Size, int]]
    outputs: list[tuple[torch.Size, int]]


def find_units(model: Detector, granularity: str) -> tuple[Unit, ...]:
    """The units of a quantized model in the order in which they first run.

    Each quantized layer that runs is in exactly one of them. A block falls apart into its layers where it cannot be
    called as one: where a layer of it also runs outside it, or where images cannot be told apart in a tensor.

    Args:
        granularity: "block" or "layer".

    Raises:
        InputError: images cannot be told apart in what a layer computes.
    """
    one, two = (observe(model, count) for count in (1, 2))
    kinds = LAYERS if granularity == "layer" else ATOMS
    layers = [name for name in one if isinstance(model.get_submodule(name), kinds)]
    layers = [name for name in layers if not any(_inside(name, other) for other in layers)]
    blocks = find_blocks(one, layers) if granularity == "block" else []
    chosen: dict[str, Unit] = {}
    for name in layers:
        block = next((block for block in blocks if _inside(name, block)), name)
        unit = _unit(block, one, two) if _runs_whole(block, layers, one) else None
        if unit is None:
            block, unit = name, _unit(name, one, two)
        if unit is None:
            raise InputError(
                f"the layer {name} cannot be reconstructed alone: images cannot be told apart in what it computes; "
                "choose a method that tunes net-wise"
            )
        chosen.setdefault(block, unit)
    return tuple(chosen.values())


def find_blocks(seen: Mapping[str, Sequence[Seen]], layers: Sequence[str]) -> list[str]:
    """Names of the blocks among the modules that ran; none is inside another."""
    several = [name for name in seen if name and sum(_inside(layer, name) for layer in layers) > 1]
    several = [name for name in several if not any(name == layer or _inside(name, layer) for layer in layers)]
    least = [name for name in several if not any(_inside(other, name) for other in several)]
    single = [name for name in several if sum(name == one or _inside(one, name) for one in least) == 1]
    return [name for name in single if not any(_inside(name, other) for other in single)]


@torch.no_grad()
def observe(model: Detector, count: int) -> dict[str, list[Seen]]:
    """The calls of every module, in the order of their beginning, while the network runs on ``count`` images."""
    names = {module: name for name, module in model.named_modules()}
    seen: dict[str, list[Seen]] = {}
    running: list[Seen] = []
    path: list[str] = []

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        running.append(Seen(frozenset(path), _sizes(pytree.tree_leaves((args, kwargs))), []))
        path.append(names[module])
        seen.setdefault(names[module], []).append(running[-1])

    def after(_: nn.Module, __: Any, output: Any) -> None:
        path.pop()
        running.pop().outputs.extend(_sizes(outputs_of(output)))

    pixels = model.preprocessing.example(count)
    with watching(names, before, after):
        model(prepared(model, pixels))
    return seen


def _sizes(leaves: Sequence[Any]) -> list[tuple[torch.Size, int]]:
    return [(leaf.shape, leaf.numel() * leaf.element_size()) for leaf in leaves if isinstance(leaf, Tensor)]


def _inside(name: str, module: str) -> bool:
    return name.startswith(f"{module}.")


def _runs_whole(block: str, layers: Sequence[str], seen: Mapping[str, Sequence[Seen]]) -> bool:
    """Whether the layers of a block run within its calls alone."""
    inner = [layer for layer in layers if _inside(layer, block)]
    return all(block in call.within for layer in inner for call in seen[layer])


def _unit(name: str, one: Mapping[str, Sequence[Seen]], two: Mapping[str, Sequence[Seen]]) -> Unit | None:
    """The unit of a module that was seen with one image and with two; None where images cannot be told apart."""
    pairs = list(zip(one[name], two[name], strict=False))
    inputs = tuple(_leaves(a.inputs, b.inputs) for a, b in pairs)
    outputs = tuple(_leaves(a.outputs, b.outputs) for a, b in pairs)
    known = all(leaf is not None for leaves in (*inputs, *outputs) for leaf in leaves)
    if not known or len(one[name]) != len(two[name]) or not all(outputs):
        return None
    return Unit(name, inputs, outputs)  # type: ignore[arg-type]


def _leaves(one: Sequence[tuple[torch.Size, int]], two: Sequence[tuple[torch.Size, int]]) -> tuple[Leaf | None, ...]:
    """A leaf for each tensor, by what its shape is with one image and with two."""
    if len(one) != len(two):
        return (None,)
    return tuple(_leaf(a, b, size) for (a, size), (b, _) in zip(one, two, strict=True))


def _leaf(one: torch.Size, two: torch.Size, size: int) -> Leaf | None:
    if one == two:
        return Leaf(None, size)
    differing = [axis for axis, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
    if len(one) != len(two) or len(differing) > 1 or two[differing[0]] != 2 * one[differing[0]]:
        return None
    return Leaf(differing[0], size)
