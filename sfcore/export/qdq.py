"""From marked nodes to standard ones: QuantizeLinear, DequantizeLinear, Clip, and integers in place of weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.export.graph import BIAS, DOMAIN
from sfcore.export.integers import OPSET_OF_SMALL_TYPES, Activation, Held, held
from sfcore.quant.hooks import hooks
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer

WEIGHT = "weight_quantizer"
SCALE = ".scale"  # ends the names of step sizes, after that of their quantizer
CUT = ".cut"  # ends the name of what cuts values to fewer integers than a type has


def quantized_graph(graph: onnx.ModelProto, model: Detector, signed: bool, types: int = 0) -> list[str]:
    """Turn the marks of a traced model into standard nodes, in place.

    Args:
        model: the quantized detector that was traced.
        signed: whether activations get signed types, as TensorRT asks; unsigned ones else.
        types: the opset whose types are used, where it is not the graph's own.

    Returns:
        What differs from the simulation, as sentences.

    Raises:
        InputError: a weight or an activation needs a type that the opset does not have.
    """
    opset = types or next(each.version for each in graph.opset_import if each.domain == "")
    work = _Rewriting(graph.graph, model, opset, signed, _constants(graph.graph, model))
    for node in list(graph.graph.node):
        work.take(node)
    work.finish()
    kept = [each for each in graph.opset_import if each.domain in {node.domain for node in graph.graph.node} | {""}]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    del graph.functions[:]
    return work.notes()


@dataclass
class _Rewriting:
    graph: onnx.GraphProto
    model: Detector
    opset: int
    signed: bool
    constants: dict[str, np.ndarray]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    added: list[onnx.TensorProto] = field(default_factory=list)
    layers: dict[str, tuple[Held, Held | None, int]] = field(default_factory=dict)
    places: Counter[str] = field(default_factory=Counter)

    def take(self, node: onnx.NodeProto) -> None:
        """Copy a node, or what stands for it."""
        if node.domain != DOMAIN:
            self.nodes.append(node)
            return
        name = _name(node)
        if name in self.constants:
            self.nodes.append(helper.make_node("Identity", [f"{name}.constant"], [node.output[0]], name=name))
            self.add(f"{name}.constant", TensorProto.FLOAT, self.constants[name])
        elif name.endswith(f".{WEIGHT}"):
            self.put(name, self.held_of(name.removesuffix(f".{WEIGHT}"))[0], node.output[0])
        elif name.endswith(f".{BIAS}"):
            bias = self.held_of(name.removesuffix(f".{BIAS}"))[1]
            assert bias is not None  # else it is not marked
            self.put(name, bias, node.output[0])
        else:
            self.round(name, node.input[0], node.output[0])

    def held_of(self, name: str) -> tuple[Held, Held | None, int]:
        if name not in self.layers:
            layer = self.model.get_submodule(name)
            assert isinstance(layer, QuantLayer)
            self.check(f"{name}.{WEIGHT}", layer.weight_quantizer)
            self.layers[name] = held(layer, self.opset)
        return self.layers[name]

    def place_of(self, name: str) -> str:
        """A name for one of the places of a quantizer: a layer that is called twice has two."""
        self.places[name] += 1
        return name if self.places[name] == 1 else f"{name}.{self.places[name]}"

    def check(self, name: str, quantizer: Quantizer) -> None:
        """Refuse what the opset has no type for."""
        if quantizer.bits > 8 and self.opset < OPSET_OF_SMALL_TYPES:
            raise InputError(
                f"{name} has {quantizer.bits} bits, for which opset {self.opset} has no type: "
                f"choose opset {OPSET_OF_SMALL_TYPES} or later"
            )

    def put(self, name: str, values: Held, output: str) -> None:
        """A constant, of integers that are given back their values when they are used."""
        integers, scale = f"{name}.integers", f"{name}{SCALE}"
        self.add(integers, values.type, values.integers)
        self.add(scale, TensorProto.FLOAT, values.scale)
        axis: dict[str, Any] = {"axis": 0} if values.scale.ndim else {}
        self.node("DequantizeLinear", [integers, scale], output, self.place_of(name), **axis)

    def round(self, name: str, read: str, output: str) -> None:
        """Round an activation; what its type does not limit is cut before."""
        quantizer = self.model.get_submodule(name)
        assert isinstance(quantizer, Quantizer)
        self.check(name, quantizer)
        how = Activation.of(quantizer, self.signed)
        place, scale, zero = self.place_of(name), f"{name}{SCALE}", f"{name}.zero"
        integers, cut = f"{place}.integers", f"{place}{CUT}"
        if not how.whole:
            ends = [f"{name}.low", f"{name}.high"]
            for end, value in zip(ends, how.range, strict=True):
                self.add(end, TensorProto.FLOAT, np.float32(value))
            self.node("Clip", [read, *ends], cut, cut)
            read = cut
        self.add(scale, TensorProto.FLOAT, np.float32(how.scale))
        self.add(zero, how.type, np.int32(how.zero))
        self.node("QuantizeLinear", [read, scale, zero], integers, f"{place}.round")
        self.node("DequantizeLinear", [integers, scale, zero], output, place)

    def node(self, kind: str, inputs: Sequence[str], output: str, name: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **attributes))

    def add(self, name: str, kind: int, values: np.ndarray | np.generic) -> None:
        """An initialiser, once; integers of 4 bits are packed, two a byte."""
        if any(each.name == name for each in self.added):
            return
        array = np.asarray(values).astype(helper.tensor_dtype_to_np_dtype(kind))
        self.added.append(numpy_helper.from_array(array, name))

    def finish(self) -> None:
        """Put the nodes in place, transposed weights as such, and drop what nothing reads any more."""
        self.nodes = _with_transposed_weights(self.nodes, self.added)
        _widen_before_transposes(self.nodes, self.added)
        read = {name for node in self.nodes for name in node.input}
        kept = [each for each in self.graph.initializer if each.name in read]
        kept += [each for each in self.added if each.name in read]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(kept)

    def notes(self) -> list[str]:
        raised = {name: count for name, (_, __, count) in self.layers.items() if count}
        return [
            f"{name}: {count} nearly dead channels got larger steps, so that their biases fit into 32 bits"
            for name, count in raised.items()
        ]


def _name(mark: onnx.NodeProto) -> str:
    found: str = next(helper.get_attribute_value(each) for each in mark.attribute if each.name == "name").decode()
    return found


@torch.no_grad()
def _constants(graph: onnx.GraphProto, model: Detector) -> dict[str, np.ndarray]:
    """What quantizers make of activations that do not depend on the images, such as the queries that a decoder starts
    with: no engine needs to round these, and OpenVINO stumbles over an add of one."""
    computed, names = {each.name for each in graph.input}, list[str]()
    places = Counter(_name(node) for node in graph.node if node.domain == DOMAIN)
    for node in graph.node:
        if computed & set(node.input):
            computed.update(node.output)
        elif node.domain == DOMAIN and not _name(node).endswith((f".{WEIGHT}", f".{BIAS}")):
            names += [_name(node)] if places[_name(node)] == 1 else []  # elsewhere it may read other values
    found: dict[str, np.ndarray] = {}
    if names:
        size = graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
        of = {model.get_submodule(name): name for name in names}

        def keep(quantizer: nn.Module, _: Any, output: Tensor) -> None:
            found[of[quantizer]] = output.cpu().numpy().copy()

        with hooks(of, after=keep):
            model(model.preprocessing.normalize(model.preprocessing.example(size)).to(model.device))
    return found


def _with_transposed_weights(nodes: list[onnx.NodeProto], added: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Store the weight of a linear layer as its matrix product reads it: engines look for integers right before it."""
    readers = Counter(name for node in nodes for name in node.input)
    constants = {each.name: each for each in added}
    given = [node for node in nodes if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    weights = {node.output[0]: node for node in given}
    kept = []
    for node in nodes:
        source = weights.get(node.input[0]) if node.op_type == "Transpose" else None
        if source is None or readers[node.input[0]] > 1 or len(_permutation(node)) != 2:
            kept.append(node)
            continue
        tensor = constants[source.input[0]]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), tensor.name))
        source.output[0] = node.output[0]
        for attribute in source.attribute:
            attribute.i = 1
    return kept


def _widen_before_transposes(nodes: list[onnx.NodeProto], added: list[onnx.TensorProto]) -> None:
    """Store the weights of 1×1 convolutions whose output is transposed in 8 bits where 4 would do: OpenVINO 2026.4
    takes such a one of INT4 for a matrix product, gets its shape wrong, and does not load the file."""
    constants, makers = {each.name: each for each in added}, {node.output[0]: node for node in nodes}
    transposed = {node.input[0] for node in nodes if node.op_type == "Transpose"}
    for node in nodes:
        if node.op_type != "Conv" or node.output[0] not in transposed or node.input[1] not in makers:
            continue
        tensor = constants.get(makers[node.input[1]].input[0])
        if tensor is not None and tensor.data_type == TensorProto.INT4 and set(tensor.dims[2:]) == {1}:
            wider = numpy_helper.to_array(tensor).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(wider, tensor.name))


def _permutation(node: onnx.NodeProto) -> Sequence[int]:
    return next((list(each.ints) for each in node.attribute if each.name == "perm"), [])
