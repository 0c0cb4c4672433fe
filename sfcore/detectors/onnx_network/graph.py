"""A network that computes what an .onnx graph says, and its layers under names of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sfcore.detectors.onnx_network.file import read_file
from sfcore.detectors.onnx_network.node import Operation
from sfcore.detectors.onnx_network.rehearsal import Rehearsal

SAME = 1e-4  # of an output's largest value: images in a batch against each alone
_FAILED = (RuntimeError, ValueError, IndexError, TypeError)  # what torch raises where shapes do not fit


class Constants(nn.Module):
    """Numbers that a graph reads beside its layers: parameters where the file has floats, else buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, str] = {}  # by names in the file

    def add(self, name: str, values: np.ndarray, learned: bool) -> None:
        """Keep an array under a name of the file, once."""
        if name in self.keys:
            return
        key = "".join(letter if letter.isalnum() else "_" for letter in name) or "value"
        while hasattr(self, key):
            key += "_"
        self.keys[name] = key
        value = torch.from_numpy(np.array(values))
        if learned and value.is_floating_point():
            self.register_parameter(key, nn.Parameter(value))
        else:
            self.register_buffer(key, value, persistent=False)

    def values(self) -> dict[str, Tensor]:
        """All by their names in the file."""
        return {name: getattr(self, key) for name, key in self.keys.items()}


@dataclass
class Step:
    """One operator of a graph.

    Attributes:
        operation: what it computes.
        inputs, outputs: names of tensors; None for an input that is left out.
        last: names of tensors that no later step reads.
    """

    operation: Operation
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    last: tuple[str, ...] = ()


@dataclass
class Graph:
    """What an .onnx file computes.

    Attributes:
        path: of the file.
        input: name of the input.
        outputs: names of the outputs that are computed.
        steps: the operators, in the order of computation.
        layers: the modules among them, by dotted names.
        constants: what else they read.
        apart: whether images are computed one after the other, for the file tells them apart in no other way.
    """

    path: Path
    input: str
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    layers: dict[str, nn.Module] = field(default_factory=dict)
    constants: Constants = field(default_factory=Constants)
    apart: bool = False

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """(B, ...) images to the outputs by their names in the file."""
        if not self.apart or len(images) == 1:
            return self.together(images)
        each = [self.together(images[place : place + 1]) for place in range(len(images))]
        return {name: _joined([one[name] for one in each]) for name in self.outputs}

    def together(self, images: Tensor) -> dict[str, Tensor]:
        """All images in one pass."""
        known = {**self.constants.values(), self.input: images}
        for step in self.steps:
            result = step.operation([None if name is None else known[name] for name in step.inputs])
            results = result if isinstance(result, tuple | list) else (result,)
            known.update(zip(step.outputs, results, strict=False))
            for name in step.last:
                known.pop(name, None)
        return {name: known[name] for name in self.outputs}

    def forget(self) -> None:
        """Find after which step each tensor is no longer needed."""
        kept = {*self.outputs, *self.constants.keys}
        for step in reversed(self.steps):
            names = {*filter(None, step.inputs), *step.outputs} - kept
            step.last, kept = tuple(sorted(names)), kept | names

    def install(self, owner: nn.Module) -> None:
        """Make the layers modules of ``owner``, in containers as their names say."""
        for name, layer in self.layers.items():
            *parents, own = name.split(".")
            place = owner
            for parent in parents:
                place = _container(place, parent)
            place.add_module(_free(place, own), layer)
        if self.constants.keys:
            owner.add_module(_free(owner, "constants"), self.constants)


class Container(nn.Module):
    """Holds layers under a common part of their names; it is never called."""


def _container(owner: nn.Module, name: str) -> nn.Module:
    """The container of a name, or one that is free."""
    while not isinstance(owner._modules.get(name), Container):
        if not hasattr(owner, name):
            owner.add_module(name, Container())
            break
        name += "_"
    return owner.get_submodule(name)


def _free(owner: nn.Module, name: str) -> str:
    while hasattr(owner, name):
        name += "_"
    return name


class OnnxNetwork(nn.Module):
    """A network read from an .onnx file: (B, ...) input to the outputs by their names."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        graph.install(self)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """All outputs by their names."""
        return self.graph(images)


@torch.no_grad()
def read_graph(path: Path, examples: Tensor, outputs: Sequence[str] | None = None, input: str | None = None) -> Graph:
    """What an .onnx file computes, for inputs of the size of ``examples``.

    A file says it for one image. For several, shapes grow by a rule (:func:`~.operators.shapes.of_batch`), which is
    tried on ``examples``: where an image in a batch is not what it is alone, images are computed one by one.

    Args:
        examples: (B, ...) inputs, of which the first is led through the graph while it is read; at least two.
        outputs: names of those that are needed; all where nothing is said.
        input: the name that the input must have.

    Raises:
        InputError: the file cannot be read (:func:`~.file.read_file`), has not these outputs or this input, reads
            inputs of another size, or has an operator that is not known.
    """
    with torch.device("cpu"):
        content = read_file(path)
        rehearsal = Rehearsal(content, outputs, input)
        rehearsal.check_size(tuple(examples.shape[1:]))
        graph = Graph(path, content.input, rehearsal.outputs)
        for performed in rehearsal.performed(examples[:1]):
            for name, values, learned in performed.constants:
                graph.constants.add(name, values, learned)
            graph.steps.append(Step(performed.operation, performed.inputs, performed.outputs))
        for name, values in rehearsal.constant_outputs().items():
            graph.constants.add(name, values, False)
        graph.layers = rehearsal.layers
        graph.forget()
        graph.apart = not _tells_apart(graph, examples)
    return graph


def read_network(path: Path, examples: Tensor) -> OnnxNetwork:
    """A network from an .onnx file: see :func:`read_graph`."""
    return OnnxNetwork(read_graph(path, examples)).eval()


def _tells_apart(graph: Graph, examples: Tensor) -> bool:
    """Whether each image comes out of a batch as it does alone."""
    try:
        together = graph.together(examples)
    except _FAILED:
        return False
    alone = [graph.together(examples[place : place + 1]) for place in range(len(examples))]
    return all(_same(together[name], [one[name] for one in alone]) for name in graph.outputs)


def _joined(values: Sequence[Tensor]) -> Tensor:
    """What came of some images, one after the other."""
    return torch.cat([value.reshape(1) if not value.ndim else value for value in values])


def _same(together: Tensor, alone: Sequence[Tensor]) -> bool:
    apart = _joined(alone)
    if together.shape != apart.shape:
        return False
    if not apart.is_floating_point():
        return torch.equal(together, apart)
    finite = apart[apart.isfinite()].abs()
    allowed = SAME * float(finite.max()) if finite.numel() else 0.0
    return torch.allclose(together, apart, rtol=0.0, atol=allowed, equal_nan=True)
