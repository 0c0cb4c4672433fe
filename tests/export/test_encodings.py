"""Encodings: what they say of each tensor, and that rounding as they say is what the simulation does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sfcore.errors import InputError
from sfcore.export.files import export
from sfcore.export.proto import load
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import quantizers
from tests.export.conftest import departure, simulated, small_images, small_subject, unoptimised

TYPES = {"int4": (-8, 7), "int8": (-128, 127), "int16": (-(2**15), 2**15 - 1), "int32": (-(2**31), 2**31 - 1),
         "uint4": (0, 15), "uint8": (0, 255), "uint16": (0, 2**16 - 1)}  # fmt: skip

STEPS = (("Div", ["before", "step"], "steps"), ("Round", ["steps"], "whole"),
         ("Clip", ["whole", "low", "high"], "cut"), ("Mul", ["cut", "step"], ""))  # fmt: skip


def exported(scheme: str, folder: Path, opset: int = 21) -> tuple[onnx.ModelProto, dict[str, dict[str, Any]]]:
    export(small_subject(scheme, opset=opset), ["encodings"], folder)
    content = json.loads((folder / "model.encodings").read_text())
    assert list(content) == ["version", "encodings"] and content["version"] == "2.0.0"
    found = {each["name"]: each for each in content["encodings"]}
    assert len(found) == len(content["encodings"])
    return load(folder / "model-encodings.onnx"), found


def rounded(graph: onnx.ModelProto, encodings: dict[str, dict[str, Any]]) -> onnx.ModelProto:
    """The graph with each encoded tensor rounded as its encoding says, in float32."""
    for each in graph.graph.initializer:
        if each.name in encodings:
            how, values = encodings[each.name], numpy_helper.to_array(each).astype(np.float64)
            steps = np.float32(how["y_scale"])
            steps = steps.reshape([-1 if n == how["axis"] else 1 for n in range(values.ndim)]) if steps.ndim else steps
            integers = np.clip(np.round(values / steps), *TYPES[how["output_dtype"]])
            each.CopyFrom(numpy_helper.from_array((integers * steps).astype(np.float32), each.name))
    nodes = []
    for node in graph.graph.node:
        nodes.append(node)
        if node.output[0] not in encodings:
            continue
        name = node.output[0]
        how = encodings[name]
        low, high = (value - how["y_zero_point"] for value in TYPES[how["output_dtype"]])
        node.output[0] = f"{name}.before"
        for end, value in (("step", how["y_scale"]), ("low", low), ("high", high)):
            graph.graph.initializer.append(numpy_helper.from_array(np.float32(value), f"{name}.{end}"))
        for kind, inputs, output in STEPS:
            read = [f"{name}.{each}" for each in inputs]
            nodes.append(helper.make_node(kind, read, [f"{name}.{output}".rstrip(".")]))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


@pytest.mark.parametrize("scheme", ["W8A8-qnn", "W4A8-tensor-qnn", "W8A16-affine-qnn", "W4A4-adds-portable"])
def test_rounding_as_the_encodings_say_is_the_simulation(scheme: str, tmp_path: Path) -> None:
    graph = rounded(*exported(scheme, tmp_path))
    onnx.save(graph, tmp_path / "rounded.onnx")
    expected = simulated(small_subject(scheme).needs_quantized(), small_images())
    assert departure(unoptimised(tmp_path / "rounded.onnx", small_images()), expected) < 1e-3


def test_every_quantizer_and_every_bias_has_its_encoding(tmp_path: Path) -> None:
    graph, found = exported("W4A8-qnn", tmp_path)
    model = small_subject("W4A8-qnn").needs_quantized()
    names = {name for name, _ in quantizers(model)}
    layers = {name for name, module in model.named_modules() if isinstance(module, QuantLayer)}
    expected = {name for name in names if not name.endswith("weight_quantizer")}
    expected |= {f"{name}.{part}" for name in layers for part in ("weight", "bias")}
    assert set(found) == expected
    types = {name: each["output_dtype"] for name, each in found.items()}
    assert types["block.conv1.weight"] == "int4" and types["stem.weight"] == "int8"
    assert {types[f"{name}.bias"] for name in layers} == {"int32"}
    assert {types[name] for name in names & set(found)} == {"uint8"}
    weight, bias, read = (found[f"block.conv1.{part}"] for part in ("weight", "bias", "input_quantizer"))
    assert weight["axis"] == bias["axis"] == 0 and "y_zero_point" not in bias and "axis" not in read
    np.testing.assert_allclose(bias["y_scale"], np.multiply(weight["y_scale"], read["y_scale"]), rtol=1e-6)
    assert {each.data_type for each in graph.graph.initializer} <= {TensorProto.FLOAT, TensorProto.INT64}


def test_each_rounded_activation_is_read_by_its_own_layer_alone(tmp_path: Path) -> None:
    graph, found = exported("W8A8-qnn", tmp_path)
    made = {node.output[0]: node for node in graph.graph.node}
    readers = Counter(name for node in graph.graph.node for name in node.input)
    for name in found:
        if name in made:
            assert made[name].op_type == "Identity" and readers[name] == 1
    assert {node.domain for node in graph.graph.node} == {""}
    assert not any("QuantizeLinear" in node.op_type or "Dequantize" in node.op_type for node in graph.graph.node)


def test_weights_are_the_rounded_ones(tmp_path: Path) -> None:
    graph, _ = exported("W4A8-qnn", tmp_path)
    layer = small_subject("W4A8-qnn").needs_quantized().get_submodule("block.conv1")
    values = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    expected = layer.weight_quantizer(layer.weight.detach()).numpy()
    np.testing.assert_allclose(values["block.conv1.weight"], expected, rtol=1e-6)


def test_types_do_not_depend_on_the_opset(tmp_path: Path) -> None:
    assert exported("W4A16-qnn", tmp_path / "18", opset=18)[1] == exported("W4A16-qnn", tmp_path / "21")[1]


def test_bits_without_a_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 5 bits, for which encodings have no type: .* 2, 4, 8, 16 bits"):
        exported("W4A5-portable", tmp_path)
    assert list(tmp_path.iterdir()) == []
