"""From a graph of Q/DQ to one in float32 beside the encodings of its tensors, version 2.0.0, as Qualcomm's AIMET writes
them: value = (integer - y_zero_point) · y_scale.

Source: AIMET documentation, "Encoding Format Specification", section "Version 2.0.0".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.export.integers import Activation
from sfcore.export.qdq import CUT, SCALE, WEIGHT
from sfcore.quant.quantizers import Quantizer

VERSION = "2.0.0"
BITS = (2, 4, 8, 16)  # of activations that the format has types for

Encoding = dict[str, Any]


def encoded(graph: onnx.ModelProto, model: Detector) -> list[Encoding]:
    """Turn what :func:`sfcore.export.qdq.quantized_graph` made into float32, in place.

    Weights and biases become initialisers of their rounded values, so that a rounding that was learned is kept. Each
    quantizer of an activation becomes an Identity, so that only its own reader reads what is rounded: an encoding of
    the tensor before it would also be one of the skip path.

    Args:
        model: the quantized detector that was exported.

    Returns:
        The encoding of each tensor that is rounded.

    Raises:
        InputError: an activation has bits that the format has no type for.
    """
    work = _Encoding(model, {each.name: each for each in graph.graph.initializer})
    for node in graph.graph.node:
        work.take(node)
    nodes = [_reading(node, work.renamed) for node in work.nodes]
    read = {name for node in nodes for name in node.input}
    kept = [*(each for each in graph.graph.initializer if each.name in read), *work.added]
    del graph.graph.node[:], graph.graph.initializer[:]
    graph.graph.node.extend(nodes)
    graph.graph.initializer.extend(kept)
    return work.encodings


@dataclass
class _Encoding:
    model: Detector
    constants: dict[str, onnx.TensorProto]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    added: list[onnx.TensorProto] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    encodings: list[Encoding] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def take(self, node: onnx.NodeProto) -> None:
        """Copy a node, or what stands for it."""
        if node.op_type == "QuantizeLinear" or (node.op_type == "Clip" and node.name.endswith(CUT)):
            self.sources[node.output[0]] = self.sources.get(node.input[0], node.input[0])
        elif node.op_type != "DequantizeLinear":
            self.nodes.append(node)
        elif node.input[0] in self.constants:
            self.constant(node)
        else:
            self.activation(node)

    def constant(self, node: onnx.NodeProto) -> None:
        """A weight or a bias: its values, and the integers behind them."""
        integers, steps = (numpy_helper.to_array(self.constants[name]) for name in node.input[:2])
        found: Encoding = {"output_dtype": integers.dtype.name, "y_scale": steps.tolist()}
        if steps.ndim:
            found["axis"] = axis = next(each.i for each in node.attribute if each.name == "axis")
            steps = steps.reshape([-1 if n == axis else 1 for n in range(integers.ndim)])
        name = self.named(node, node.name.replace(f".{WEIGHT}", ".weight"))  # that of a bias is its own
        self.added.append(numpy_helper.from_array(integers.astype(np.float32) * steps, name))
        self.encodings.append({"name": name, **found})

    def activation(self, node: onnx.NodeProto) -> None:
        """An activation: an Identity, and how what it puts out is rounded."""
        quantizer = self.model.get_submodule(node.input[1].removesuffix(SCALE))
        assert isinstance(quantizer, Quantizer)
        if quantizer.bits not in BITS:
            raise InputError(
                f"{node.name} has {quantizer.bits} bits, for which encodings have no type: choose a scheme whose "
                f"activations have {', '.join(map(str, BITS))} bits, such as one of the target qnn"
            )
        how, name = Activation.of(quantizer, signed=False), self.named(node, node.name)
        self.nodes.append(helper.make_node("Identity", [self.sources[node.input[0]]], [name], name=name))
        kind, zero = f"uint{how.bits}", how.zero - how.low
        self.encodings.append({"name": name, "output_dtype": kind, "y_scale": how.scale, "y_zero_point": zero})

    def named(self, node: onnx.NodeProto, name: str) -> str:
        """Call what a node puts out by a name that says what it is."""
        self.renamed[node.output[0]] = name
        return name


def _reading(node: onnx.NodeProto, renamed: dict[str, str]) -> onnx.NodeProto:
    inputs = [renamed.get(name, name) for name in node.input]
    del node.input[:]
    node.input.extend(inputs)
    return node
