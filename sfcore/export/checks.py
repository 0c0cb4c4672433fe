"""What a target's engines would refuse or compute otherwise, found in a file without running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from sfcore.quant.targets import TARGETS, Target

STANDARD = ("", "ai.onnx")
UNSIGNED = (TensorProto.UINT4, TensorProto.UINT8, TensorProto.UINT16)
# The bits that a type is the smallest for.
HELD: dict[int, range] = {
    TensorProto.INT4: range(2, 5), TensorProto.UINT4: range(2, 5), TensorProto.INT8: range(5, 9),
    TensorProto.UINT8: range(5, 9), TensorProto.INT16: range(9, 17), TensorProto.UINT16: range(9, 17),
}  # fmt: skip
PRODUCTS = ("Conv", "ConvTranspose", "Gemm")  # whose third input is a bias


def violations(graph: onnx.ModelProto, target: str) -> list[str]:
    """What of a graph a target does not run, or not as it was simulated, as sentences; empty where all is well.

    Raises:
        InputError: there is no such target.
    """
    found = _Graph(graph.graph)
    profile = TARGETS[target]
    checks = (_domains(found), _types(found, profile, target), _biases(found, profile, target))
    adds = _adds(found, target) if profile.adds else ()
    return list(dict.fromkeys(each for check in (*checks, adds) for each in check))


@dataclass
class _Graph:
    """A graph with its tensors by name."""

    graph: onnx.GraphProto

    def __post_init__(self) -> None:
        self.constants = {each.name: each for each in self.graph.initializer}
        self.makers = {output: node for node in self.graph.node for output in node.output}
        self.computed = {each.name for each in self.graph.input}
        for node in self.graph.node:
            if self.computed & set(node.input):
                self.computed.update(node.output)

    def dequantized(self, name: str) -> int:
        """The type of the integers that a tensor comes from, right before it; 0 where it comes from none."""
        node = self.makers.get(name)
        return self.type_of(node) if node is not None and node.op_type == "DequantizeLinear" else 0

    def type_of(self, node: onnx.NodeProto) -> int:
        """The type of the integers of a Q or a DQ; 0 where the file does not say it there."""
        known = [each for each in (node.input[2:3] or node.input[:1]) if each in self.constants]
        return self.constants[known[0]].data_type if known else 0


def _domains(found: _Graph) -> Iterator[str]:
    for node in found.graph.node:
        if node.domain not in STANDARD:
            yield f"{node.op_type} is of the domain {node.domain}, which no engine knows"


def _types(found: _Graph, profile: Target, target: str) -> Iterator[str]:
    """Integers and zero points that the target has not."""
    for node in found.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        kind, weight = found.type_of(node), node.input[0] in found.constants
        if kind in HELD:
            able = profile.weight_bits if weight else profile.activation_bits
            if not any(bits in able for bits in HELD[kind]) or (profile.signed and kind in UNSIGNED):
                yield f"{node.name}: {target} has no integers of type {TensorProto.DataType.Name(kind)}"
        zero = found.constants.get(node.input[2]) if len(node.input) > 2 else None
        if not profile.affine and zero is not None and np.any(numpy_helper.to_array(zero)):
            yield f"{node.name}: {target} has no zero points but 0"


def _biases(found: _Graph, profile: Target, target: str) -> Iterator[str]:
    """Biases that are not held as the target holds them."""
    for name, node in _bias_of(found):
        integer = found.dequantized(name) == TensorProto.INT32
        if profile.integer_bias and not integer:
            yield f"{node.name}: its bias is not int32, and engines of {target} round it by themselves"
        if integer and not profile.integer_bias:
            yield f"{node.name}: its bias is int32, and {target} takes those of floating-point numbers alone"


def _bias_of(found: _Graph) -> Iterator[tuple[str, onnx.NodeProto]]:
    """The bias of each product of integers, and the node that adds it."""
    for node in found.graph.node:
        if node.op_type in PRODUCTS and len(node.input) > 2 and _of_integers(found, node):
            yield node.input[2], node
        if node.op_type == "Add":
            for one, other in (node.input, reversed(node.input)):
                maker = found.makers.get(one)
                product = maker is not None and maker.op_type == "MatMul" and _of_integers(found, maker)
                if product and other not in found.computed:
                    yield other, node


def _of_integers(found: _Graph, node: onnx.NodeProto) -> bool:
    return all(found.dequantized(name) for name in node.input[:2])


def _adds(found: _Graph, target: str) -> Iterator[str]:
    """Adds of which one side alone is rounded."""
    for node in found.graph.node:
        sides = [name for name in node.input if name in found.computed]
        if node.op_type == "Add" and len(sides) == 2 and len({bool(found.dequantized(name)) for name in sides}) == 2:
            yield f"{node.name}: of this add only one input is rounded, and {target} rounds both"
