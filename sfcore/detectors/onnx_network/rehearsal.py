"""Leading one image through the graph of an .onnx file: what depends on shapes alone becomes a number, the rest steps.

Files compute shapes as they compute anything else. With the size of the input known, all of that is constant, and a
network without it can be traced; only how many images there are stays open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfcore.detectors.onnx_network.file import Content, array_of, onnx_package, plain
from sfcore.detectors.onnx_network.node import Node, Operation
from sfcore.detectors.onnx_network.operators import operators
from sfcore.errors import InputError

_CHANCE = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
_FAILED = (RuntimeError, ValueError, IndexError, TypeError, KeyError, AttributeError, ZeroDivisionError)


@dataclass(frozen=True)
class Performed:
    """An operator that was carried out.

    Attributes:
        operation: what it became.
        inputs, outputs: names; None for an input that is left out.
        constants: name, values, and whether they are floats of the file, of what is read of them.
    """

    operation: Operation
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    constants: tuple[tuple[str, np.ndarray, bool], ...]


class Rehearsal:
    """One pass of one image through a graph.

    Attributes:
        outputs: names of those that are needed.
        layers: the modules that operators became, by dotted names.

    Args:
        outputs: see :func:`~sfcore.detectors.onnx_network.graph.read_graph`, as ``input``.

    Raises:
        InputError: the file has no such output or input.
    """

    def __init__(self, content: Content, outputs: Sequence[str] | None, input: str | None) -> None:
        self.content = content
        self.outputs = content.outputs if outputs is None else tuple(dict.fromkeys(outputs))
        self.layers: dict[str, nn.Module] = {}
        self._tied: dict[tuple[Any, ...], nn.Module] = {}
        self._constants = dict(content.constants)
        if unknown := [name for name in self.outputs if name not in content.outputs]:
            raise InputError(
                f"{content.path} has no output {', '.join(unknown)}: its outputs are {', '.join(content.outputs)}"
            )
        if input not in (None, content.input):
            raise InputError(f"{content.path} has no input {input}: its input is {content.input}")

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse what the file does not read. Raises InputError: its input is of another size than ``size``."""
        batch, *own = self.content.shape or (None,)
        said = f"{self.content.path} reads an input of shape {self._shape_in_words()}"
        if batch not in (None, 1):
            raise InputError(f"{said}: export it for a batch of 1, or with an open batch dimension (dynamic_shapes)")
        if len(own) != len(size) or any(a not in (None, b) for a, b in zip(own, size, strict=True)):
            raise InputError(
                f"{said}, and the plug-in makes inputs of (1, {', '.join(map(str, size))}): give its preprocessing "
                "that size"
            )

    def _shape_in_words(self) -> str:
        return f"({', '.join('any' if size is None else str(size) for size in self.content.shape)})"

    def constant_outputs(self) -> dict[str, np.ndarray]:
        """The outputs that no image changes."""
        return {name: self._constants[name] for name in self.outputs if name in self._constants}

    def performed(self, image: Tensor) -> Iterator[Performed]:
        """Carry out all operators that an output needs, one by one.

        Raises:
            InputError: one is not known, or cannot be read or carried out.
        """
        needed, used = self._needed()
        known: dict[str, Tensor] = {self.content.input: image}
        for place, proto in enumerate(self.content.nodes):
            if place not in needed:
                continue
            node = self._node(proto, place, known, used)
            folded = self._folded(node, proto)
            if folded is not None:
                self._constants.update(folded)
                continue
            step = self._step(node, proto)
            known.update(self._carried_out(node, step, known))
            yield step

    def _needed(self) -> tuple[set[int], set[str]]:
        """Places of the nodes that an output comes from, and the names that these read or put out."""
        used, places = set(self.outputs), set[int]()
        for place, proto in reversed([*enumerate(self.content.nodes)]):
            if used.intersection(proto.output):
                places.add(place)
                used.update(filter(None, proto.input))
        return places, used

    def _node(self, proto: Any, place: int, known: dict[str, Tensor], used: set[str]) -> Node:
        shapes = tuple(self._shape(name, known) for name in proto.input)
        constants = {i: self._constants[name] for i, name in enumerate(proto.input) if name in self._constants}
        outputs = max((i + 1 for i, name in enumerate(proto.output) if name in used), default=1)
        name = proto.name or f"{proto.op_type}_{place}"
        kind = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
        node = Node(kind, name, {}, self.content.opset, self.content.path, tuple(proto.input), shapes, constants)
        node.outputs, node.parts = outputs, len(proto.output)
        node.attributes = {each.name: _value(node, each) for each in proto.attribute}
        return node

    def _shape(self, name: str, known: dict[str, Tensor]) -> tuple[int, ...] | None:
        found = known.get(name, self._constants.get(name))
        return None if found is None else tuple(found.shape)

    def _folded(self, node: Node, proto: Any) -> dict[str, np.ndarray] | None:
        """The results of a node that no image changes; None of one that an image does."""
        if node.kind == "Shape":
            return {proto.output[0]: np.array(node.shape[slice(node.get("start", 0), node.get("end"))], np.int64)}
        if node.kind == "Size":
            return {proto.output[0]: np.array(np.prod(node.shape, dtype=np.int64))}
        given = [name for name in proto.input if name]
        if node.kind in _CHANCE or any(name not in self._constants for name in given):
            return None
        if node.kind == "Constant":
            return {proto.output[0]: plain(np.asarray(next(iter(node.attributes.values()))))}
        return self._evaluated(node, proto, given)

    def _evaluated(self, node: Node, proto: Any, given: Sequence[str]) -> dict[str, np.ndarray]:
        """The results of a node on constants, by ONNX's own definition."""
        helper = onnx_package("onnx.helper")
        inputs = [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(given)]
        names = [name for name in proto.output if name]
        outputs = [helper.make_empty_tensor_value_info(name) for name in names]
        opset = helper.make_opsetid("", self.content.opset)
        model = helper.make_model(helper.make_graph([proto], "one", inputs, outputs), opset_imports=[opset])
        try:
            evaluator = onnx_package("onnx.reference").ReferenceEvaluator(model)
            found = evaluator.run(None, {name: self._constants[name] for name in given})
        except Exception as error:  # of many kinds
            raise node.refusal(f"it fails on constants ({type(error).__name__}: {error})") from error
        return {name: plain(np.asarray(value)) for name, value in zip(names, found, strict=True)}

    def _step(self, node: Node, proto: Any) -> Performed:
        build = operators().get(node.kind)
        if build is None:
            raise node.refusal("it is not known here")
        try:
            made = build(node)
        except InputError:
            raise
        except _FAILED as error:
            raise node.refusal(f"{type(error).__name__}: {error}") from error
        operation = made if isinstance(made, Operation) else Operation(made)
        if operation.module is not None:
            operation.module = self._placed(node, operation)
        places = [place for place in range(len(node.inputs)) if place not in node.taken]
        names: list[str | None] = [node.inputs[place] or None for place in places]
        while names and names[-1] is None:
            names.pop()
        constants = [(name, self._constants[name], name in self.content.constants and self._constants[name].ndim > 0)
                     for name in names if name in self._constants]  # fmt: skip
        for number, values in enumerate(node.extra):
            names.append(f"{proto.output[0]}.{number}")
            constants.append((f"{proto.output[0]}.{number}", values, False))
        return Performed(operation, tuple(names), tuple(proto.output)[: node.outputs], tuple(constants))

    def _carried_out(self, node: Node, step: Performed, known: dict[str, Tensor]) -> dict[str, Tensor]:
        values = {name: torch.from_numpy(np.array(array)) for name, array, _ in step.constants}
        try:
            result = step.operation(
                [None if name is None else values.get(name, known.get(name)) for name in step.inputs]
            )
        except _FAILED as error:
            raise node.refusal(f"it fails ({type(error).__name__}: {error})") from error
        results = result if isinstance(result, tuple | list) else (result,)
        return dict(zip(step.outputs, results, strict=False))

    def _placed(self, node: Node, operation: Operation) -> nn.Module:
        """The module of an operation under a name of its own; the one that there is where layers are one."""
        assert operation.module is not None
        if operation.tied in self._tied:
            return self._tied[operation.tied]
        name = next(name for name in _names(node, operation) if self._is_free(name))
        self.layers[name] = operation.module
        if operation.tied is not None:
            self._tied[operation.tied] = operation.module
        return operation.module

    def _is_free(self, name: str) -> bool:
        inside = (f"{other}.".startswith(f"{name}.") or f"{name}.".startswith(f"{other}.") for other in self.layers)
        return bool(name) and not any(inside)


def _value(node: Node, attribute: Any) -> Any:
    """An attribute as a Python value."""
    found = onnx_package("onnx.helper").get_attribute_value(attribute)
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    if hasattr(found, "raw_data"):
        return array_of(found)
    if hasattr(found, "node") or (isinstance(found, list) and any(hasattr(each, "node") for each in found)):
        raise node.refusal("it holds a graph of its own, which may be carried out or not")
    return found


def _names(node: Node, operation: Operation) -> Iterator[str]:
    """Names for a layer, the best first: of its weight in the file, of the node, and then numbered."""
    weight = node.inputs[1] if operation.tied is not None else ""
    parts = [re.sub(r"\W", "_", part) for part in re.split(r"[/.:]+", node.name) if part]
    if weight.endswith(".weight"):
        yield ".".join(re.sub(r"\W", "_", part) for part in weight.split(".")[:-1] if part)
    if operation.tied is not None and len(parts) > 1 and re.fullmatch(rf"{node.kind}(_\d+)?", parts[-1]):
        yield ".".join(parts[:-1])
    name = ".".join(parts) or node.kind
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
