"""Which quantized layers read what a layer norm puts out, whether as it is or with something added."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, memory_of, observe
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import full_precision

SUMS = frozenset({"add", "sub"})
COPIES = frozenset({"clone", "_to_copy"})


@dataclass(frozen=True)
class Reading:
    """A quantized layer that reads what a layer norm puts out, in each of its calls.

    Attributes:
        norm, layer: their names.
        direct: whether it reads that and nothing else, rather than a sum of it and something, such as positions.
    """

    norm: str
    layer: str
    direct: bool


def norm_readers(model: Detector, images: Tensor) -> list[Reading]:
    """The quantized layers that read what layer norms put out, found in a pass in full precision, in running order.

    Views and copies of a tensor are the tensor. A sum of what two norms put out is of neither. Only norms over the last
    dimension with a factor for each channel count.

    Args:
        images: preprocessed, (N, ...), on the model's device.
    """
    seen = _Readers(model)
    with full_precision(model):
        observe(model, images, seen)
    pairs = [(layer, next(iter(found))) for layer, found in seen.found.items() if len(found) == 1]
    return [Reading(source.norm, layer, source.direct) for layer, source in pairs if source]


@dataclass(frozen=True)
class _Source:
    """Where a tensor comes from: a norm, by its name, and whether it is what that put out and nothing else."""

    norm: str
    direct: bool


class _Readers(Observer):
    """What is held where in a pass, and by which layers it is read."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {module: name for name, module in model.named_modules()}
        self.held: dict[Memory, _Source] = {}
        self.found: defaultdict[str, set[_Source | None]] = defaultdict(set)

    def entered(self, visit: Visit) -> None:
        if isinstance(visit.module, QuantLayer) and visit.inputs:
            (memory,) = memories(visit.inputs[:1]) or (None,)
            self.found[self.names[visit.module]].add(self.held.get(memory) if memory else None)

    def left(self, visit: Visit, outputs: list[Tensor]) -> None:
        if is_affine_norm(visit.module) and outputs and (memory := memory_of(outputs[0])):
            self.held[memory] = _Source(self.names[visit.module], direct=True)

    def happened(self, operation: Operation) -> None:
        name = operation.name.removesuffix("_")
        sources = {self.held[memory] for memory in memories(operation.reads) if memory in self.held}
        for memory in memories(operation.writes):
            self.held.pop(memory, None)
        if len({source.norm for source in sources}) == 1 and name in SUMS | COPIES:
            (norm,) = {source.norm for source in sources}
            direct = name in COPIES and all(source.direct for source in sources)
            self.held |= dict.fromkeys(memories([*operation.results, *operation.writes]), _Source(norm, direct))


def is_affine_norm(module: nn.Module) -> bool:
    """Whether a module is a layer norm over the last dimension with a factor for each channel."""
    return isinstance(module, nn.LayerNorm) and module.weight is not None and module.weight.ndim == 1
