"""Folding batch norm into the layer before it, where a forward pass proves that the network computes the same."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.copies import become
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, memory_of, observe
from sfcore.quant.layers.base import HOOKED, departure, has_hooks
from sfcore.quant.same import same
from sfcore.quant.transforms import TRANSFORMS, Transform

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED, nn.Linear)


@TRANSFORMS.register("fold-batch-norm")
class FoldBatchNorm(Transform):
    """Merges each batch norm into the layer before it: see :func:`fold_batch_norm`."""

    def restructure(self, model: Detector, example: Tensor) -> dict[str, str]:
        found = fold_batch_norm(model, example)
        return {name: f"batch norm is not folded: {why}" for name, why in found.items()}


def fold_batch_norm(model: nn.Module, example: Tensor) -> dict[str, str]:
    """Merge each batch norm into the layer whose output it reads, where nothing else can tell the difference.

    That is so where, in a pass of ``example``, every output of the layer goes whole into one call of the norm and
    nowhere else, the norm reads nothing but such outputs, the weights of neither are read elsewhere, and the norm
    does what its statistics say. The norm becomes an identity. What differs in any point is left as it is.

    Returns:
        Why each batch norm that is left was left, by its name.
    """
    pass_ = _Pass(model)
    for output in observe(model, example, pass_):
        pass_.read(output, None)
    names = {module: name for name, module in model.named_modules()}
    left = {}
    for norm, layers in pass_.pairs().items():
        if why := pass_.fault(norm, layers):
            left[names[norm]] = why
            continue
        for layer in layers:
            _fold(layer, norm)
        become(norm, nn.Identity())
    return left


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module holds fixed statistics for each channel, as batch norm in evaluation and its frozen variants."""
    return all(isinstance(getattr(module, name, None), Tensor) for name in ("running_mean", "running_var"))


def affine_of(norm: Any) -> tuple[Tensor, Tensor]:
    """(C,) factor and (C,) shift that the statistics of a batch norm make of its input."""
    ones = torch.ones_like(norm.running_var)
    factor = (ones if norm.weight is None else norm.weight) / torch.sqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * factor
    return factor, shift if norm.bias is None else shift + norm.bias


@dataclass
class _Output:
    """What a layer returned in one of its calls, and the calls of norms (None for anything else) that read it."""

    layer: nn.Module
    form: tuple[Any, ...]
    readers: set[Visit | None] = field(default_factory=set)


class _Pass(Observer):
    """Who reads what the layers return."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.outputs: dict[Memory, _Output] = {}
        self.calls: defaultdict[nn.Module, list[tuple[Visit, Memory | None]]] = defaultdict(list)
        self.wrong: dict[nn.Module, str] = {}
        self.owners: defaultdict[Memory, set[nn.Module]] = defaultdict(set)
        for module in model.modules():
            if isinstance(module, FOLDABLE) or is_batch_norm(module):
                self._register(module)

    def _register(self, module: nn.Module) -> None:
        kind = next((kind for kind in FOLDABLE if isinstance(module, kind)), None)
        if why := departure(module, kind) if kind else HOOKED if has_hooks(module) else "":
            self.wrong[module] = why
        for memory in memories([*module.parameters(recurse=False), *module.buffers(recurse=False)]):
            self.owners[memory].add(module)

    def entered(self, visit: Visit) -> None:
        if not is_batch_norm(visit.module):
            return
        memory = memory_of(visit.inputs[0]) if visit.inputs else None
        output = self.outputs.get(memory) if memory else None
        whole = output is not None and _form(visit.inputs[0]) == output.form
        self.calls[visit.module].append((visit, memory if whole else None))

    def happened(self, operation: Operation) -> None:
        norm = next((visit for visit in reversed(self.path) if is_batch_norm(visit.module)), None)
        for tensor in operation.reads:
            self.read(tensor, norm)

    def read(self, tensor: Tensor, norm: Visit | None) -> None:
        """A tensor is read within a call of a norm, or elsewhere."""
        memory = memory_of(tensor)
        if memory is None:
            return
        if memory in self.outputs:
            own = norm is not None and self.calls[norm.module][-1] == (norm, memory)
            self.outputs[memory].readers.add(norm if own else None)
        owners = self.owners.get(memory)
        if owners and not self.within(owners):
            self.wrong |= dict.fromkeys(owners, "its weights are also read outside of it")

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        module = visit.module
        if isinstance(module, FOLDABLE) and outputs and (memory := memory_of(outputs[0])):
            self.outputs[memory] = _Output(module, _form(outputs[0]))
            if outputs[0].ndim != module.weight.ndim:  # then its channels are not dimension 1
                self.wrong[module] = "the norm sees other channels than the layer"
        elif is_batch_norm(module) and not _does_as_it_says(module, visit.inputs, outputs):
            self.wrong[module] = "it does not what its statistics say"

    def pairs(self) -> dict[nn.Module, set[nn.Module]]:
        """The layers before each norm that was called."""
        return {
            norm: {self.outputs[memory].layer for _, memory in calls if memory is not None}
            for norm, calls in self.calls.items()
        }

    def fault(self, norm: nn.Module, layers: set[nn.Module]) -> str | None:
        """Why a norm cannot be folded into the layers before it; None where it can."""
        if any(memory is None for _, memory in self.calls[norm]):
            return "what it reads is not the whole output of a layer"
        outputs = [output for output in self.outputs.values() if output.layer in layers]
        if any([visit and visit.module for visit in output.readers] != [norm] for output in outputs):
            return "the output of the layer before it has other readers"
        return next((self.wrong[module] for module in (norm, *layers) if module in self.wrong), None)


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset()


def _does_as_it_says(norm: Any, inputs: list[Tensor], outputs: list[Tensor]) -> bool:
    """Whether a norm made of its input what its statistics say, channel by channel, in memory of its own."""
    if len(outputs) != 1 or len(inputs) != 1 or norm.running_var.ndim != 1:
        return False
    x, found = inputs[0], outputs[0]
    shape = [1, -1] + [1] * (x.ndim - 2)
    try:
        factor, shift = (value.reshape(shape) for value in affine_of(norm))
        return memory_of(x) != memory_of(found) and same(x * factor + shift, found)
    except (AttributeError, RuntimeError):  # it has no eps, or other channels
        return False


def _fold(layer: Any, norm: Any) -> None:
    """Give a layer the factor and shift of a norm."""
    factor = affine_of(norm)[0]
    bias = torch.zeros_like(norm.running_mean) if layer.bias is None else layer.bias
    offset = (bias - norm.running_mean) * factor
    layer.bias = nn.Parameter(offset if norm.bias is None else offset + norm.bias, requires_grad=False)
    layer.weight = nn.Parameter(_scaled(layer, factor), requires_grad=False)


def _scaled(layer: Any, factor: Tensor) -> Tensor:
    """A layer's weight with each output channel times its factor."""
    weight = layer.weight
    if not isinstance(layer, TRANSPOSED):
        return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    grouped = weight.unflatten(0, (layer.groups, -1))  # output channels are the second dimension, of each group
    return (grouped * factor.reshape(layer.groups, 1, -1, *[1] * (weight.ndim - 2))).flatten(0, 1)
