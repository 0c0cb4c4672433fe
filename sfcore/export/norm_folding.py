"""Shifts and scales of layers, folded into the layer norm that puts out what they read: (LN(x) - z) / s is the layer
norm with γ / s and (β - z) / s."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.copies import copied
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, observe
from sfcore.quant.layers import QuantLayer
from sfcore.quant.norm_readers import is_affine_norm
from sfcore.quant.quantizers import full_precision


@torch.no_grad()
def folded_into_norms(model: Detector) -> tuple[Detector, tuple[str, ...]]:
    """A copy in which no layer shifts and scales what a norm could put out so, and what was done, as sentences.

    It can where layers of the same shift and scale read all that the norm puts out, and nothing else does. The others
    compute it, before their input is rounded.

    Args:
        model: a quantized detector; itself where none of its layers shifts or scales.
    """
    if not _shifting(model.modules()):
        return model, ()
    model = copied(model)
    names = {module: name for name, module in model.named_modules()}
    notes = []
    for norm, layers in _readers(model).items():
        if _alike(layers):
            _fold(norm, layers)
            said = ", ".join(sorted(names[layer] for layer in layers))
            notes.append(f"{said}: what is shifted and scaled before rounding is folded into {names[norm]}")
    if count := len(_shifting(model.modules())):
        notes.append(f"{count} layers shift or scale what they read by operations of their own, before it is rounded")
    return model, tuple(notes)


def _shifting(modules: Iterable[nn.Module]) -> list[QuantLayer]:
    return [each for each in modules if isinstance(each, QuantLayer) and each.scale is not None]


def _readers(model: Detector) -> dict[nn.LayerNorm, list[QuantLayer]]:
    """Of each norm whose output layers alone read, whole, these layers."""
    seen, spec = _Reads(), model.preprocessing
    images = spec.normalize(spec.example(1, torch.Generator().manual_seed(0))).to(model.device)
    with full_precision(model):
        for output in observe(model, images, seen):
            seen.read([output], None)
    elsewhere = {layer for layer in seen.layers if len(seen.layers[layer]) > 1}
    return {
        norm: [layer for layer in layers if layer is not None]
        for norm, layers in seen.readers.items()
        if None not in layers and not elsewhere.intersection(layers)
    }


class _Reads(Observer):
    """Who reads what norms put out.

    Attributes:
        readers: of each norm: layers, and None for anything else.
        layers: what each layer reads in its calls: norms, and None for anything else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Memory, nn.LayerNorm] = {}
        self.readers: defaultdict[nn.LayerNorm, set[QuantLayer | None]] = defaultdict(set)
        self.layers: defaultdict[QuantLayer | None, set[nn.LayerNorm | None]] = defaultdict(set)

    def read(self, tensors: list[Tensor], layer: QuantLayer | None) -> None:
        for memory in memories(tensors):
            if memory in self.held:
                self.readers[self.held[memory]].add(layer)

    def entered(self, visit: Visit) -> None:
        if isinstance(visit.module, QuantLayer):
            self.layers[visit.module].update(self.held.get(memory) for memory in memories(visit.inputs[:1]))

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        if isinstance(visit.module, nn.LayerNorm) and is_affine_norm(visit.module):
            self.held |= dict.fromkeys(memories(outputs[:1]), visit.module)

    def happened(self, operation: Operation) -> None:
        shown = set(memories(operation.results)) if not operation.writes else set()
        read = [tensor for tensor in operation.reads if not shown.intersection(memories([tensor]))]  # else it is a view
        layer = next((visit.module for visit in self.path if isinstance(visit.module, QuantLayer)), None)
        self.read(read, layer)


def _alike(layers: list[QuantLayer]) -> bool:
    """Whether layers shift and scale alike, along the dimension that a norm has channels along."""

    def same(one: Tensor | None, other: Tensor | None) -> bool:
        return other is one if one is None or other is None else torch.equal(one, other)

    first = layers[0] if layers else None
    return first is not None and all(
        each.weight.ndim == 2
        and each.scale is not None
        and same(each.scale, first.scale)
        and same(each.shift, first.shift)
        for each in layers
    )


def _fold(norm: nn.LayerNorm, layers: list[QuantLayer]) -> None:
    """Let a norm put out what its readers shift and scale."""
    shift, scale = layers[0].shift, layers[0].scale
    assert scale is not None  # else they are not alike
    if shift is not None:
        bias = torch.zeros_like(norm.weight) if norm.bias is None else norm.bias
        norm.bias = nn.Parameter(bias - shift, requires_grad=False)
    norm.weight.div_(scale)
    if norm.bias is not None:
        norm.bias.div_(scale)
    for layer in layers:
        layer.shift = layer.scale = None
