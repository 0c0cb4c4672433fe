"""What goes into a module of a network and what comes out of it, call by call, while the network runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from sfcore.detectors.base import Detector
from sfcore.quant.hooks import Hook


@dataclass(frozen=True)
class Call:
    """One call of a module.

    Attributes:
        inputs: the tensors among its arguments.
        outputs: the floating-point tensors among what it returned.
        arguments: all leaves of its positional and named arguments, None in the places of ``inputs``.
        places: of ``inputs`` in ``arguments``.
        structure: how the leaves make the arguments.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    arguments: list[Any]
    places: list[int]
    structure: pytree.TreeSpec

    def repeat(self, module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
        """Call ``module`` in the same way with other tensors; returns its :func:`outputs_of`."""
        leaves = list(self.arguments)
        for place, tensor in zip(self.places, inputs, strict=True):
            leaves[place] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        return outputs_of(module(*args, **kwargs))


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors in any nesting of tuples, lists and dictionaries."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def outputs_of(result: Any) -> list[Tensor]:
    """The floating-point tensors in what a module returned: a tensor, or any nesting of tuples, lists and dicts."""
    return [leaf for leaf in tensors_in(result) if leaf.is_floating_point()]


def call_of(args: Any, kwargs: Any) -> Call:
    """A call that has not returned yet; tensors are copied, because what follows may change them in place."""
    leaves, structure = pytree.tree_flatten((args, kwargs))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    inputs = [leaves[place].detach().clone() for place in places]
    arguments = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    return Call(inputs, [], arguments, places, structure)


class _Enough(Exception):
    """Stops a forward pass whose rest nobody needs."""


@torch.no_grad()
def captured(model: Detector, name: str, calls: int, images: Tensor) -> list[Call]:
    """The calls of the module ``name`` while ``model`` runs on preprocessed ``images``; the run ends with the last.

    Args:
        calls: how often the module is called in a forward pass.
    """
    found: list[Call] = []

    def before(_: nn.Module, args: Any, kwargs: Any) -> None:
        found.append(call_of(args, kwargs))

    def after(_: nn.Module, __: Any, output: Any) -> None:
        found[-1].outputs.extend(leaf.clone() for leaf in outputs_of(output))
        if len(found) == calls:
            raise _Enough

    with suppress(_Enough), watching([model.get_submodule(name)], before, after):
        model(images)
    return found


@contextmanager
def watching(modules: Iterable[nn.Module], before: Hook, after: Hook) -> Iterator[None]:
    """Within the block ``before`` (module, args, kwargs) and ``after`` (module, args, output) see every forward; not of
    scripted modules, which take no hooks."""
    handles = []
    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            continue
        handles += [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
