"""Static checks: nothing is found in what is exported, and each thing in a file that is spoilt by it."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sfcore.errors import InputError
from sfcore.export.checks import violations
from sfcore.export.graph import traced
from sfcore.export.qdq import quantized_graph
from tests.export.conftest import small_subject

GOOD = {"portable": "W4A4-portable", "tensorrt": "W8A8-tensorrt", "qnn": "W4A8-qnn"}


@cache
def made(target: str) -> onnx.ModelProto:
    subject = small_subject(GOOD[target])
    model = subject.needs_quantized()
    graph = traced(model, subject.opset, subject.batch, mark_biases=subject.integer_bias)
    quantized_graph(graph, model, subject.signed)
    return graph


def copied(target: str) -> onnx.ModelProto:
    graph = onnx.ModelProto()
    graph.CopyFrom(made(target))
    return graph


def node_of(graph: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(node for node in graph.graph.node if output in node.output)


def constant(graph: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(each for each in graph.graph.initializer if each.name == name)


@pytest.mark.parametrize("target", GOOD)
def test_nothing_is_found_in_a_file_of_the_target(target: str) -> None:
    assert violations(made(target), target) == []


def test_a_file_of_another_target_is_found_out() -> None:
    found = "\n".join(violations(made("portable"), "tensorrt"))
    for said in ("no integers of type UINT8", "no integers of type INT4", "no zero points but 0", "its bias is int32"):
        assert said in found
    assert any("is not int32" in each for each in violations(made("tensorrt"), "portable"))
    assert violations(made("tensorrt"), "qnn") != []


def test_a_custom_operator_is_found() -> None:
    graph = copied("portable")
    graph.graph.node.append(helper.make_node("Marked", ["images"], ["x"], domain="own"))
    assert violations(graph, "portable") == ["Marked is of the domain own, which no engine knows"]


def test_a_zero_point_is_found() -> None:
    graph = copied("tensorrt")
    zero = constant(graph, "stem.input_quantizer.zero")
    zero.CopyFrom(numpy_helper.from_array(np.int8(3), zero.name))
    found = violations(graph, "tensorrt")
    assert found and all("stem.input_quantizer" in each and "zero points" in each for each in found)


@pytest.mark.parametrize("product", ["Conv", "Gemm", "MatMul"])
def test_a_bias_in_floating_point_is_found(product: str) -> None:
    graph = copied("portable")
    products = {node.output[0] for node in graph.graph.node if node.op_type == product}
    biases = {node.output[0]: node for node in graph.graph.node if node.name.endswith(".bias")}
    reader = next((node for node in graph.graph.node if node.op_type == product and len(node.input) > 2), None)
    if product == "MatMul":
        adds = (node for node in graph.graph.node if set(node.input) & products)
        reader = next((node for node in adds if set(node.input) & set(biases)), None)
    if reader is None:
        pytest.skip(f"torch writes no {product} with a bias")
    place = next(n for n, name in enumerate(reader.input) if name in biases)
    reader.input[place] = "float"
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(8, np.float32), "float"))
    (found,) = violations(graph, "portable")
    assert found.startswith(reader.name) and "not int32" in found


def test_an_add_of_one_rounded_side_is_found() -> None:
    graph = copied("qnn")
    add = next(node for node in graph.graph.node if node.op_type == "Add"
               and all("add." in node_of(graph, name).name for name in node.input))  # fmt: skip
    rounding = node_of(graph, node_of(graph, add.input[0]).input[0])
    add.input[0] = rounding.input[0]
    (found,) = violations(graph, "qnn")
    assert "only one input is rounded, and qnn rounds both" in found


def test_16_bits_are_found_where_there_are_none() -> None:
    graph = copied("tensorrt")
    for each in graph.graph.initializer:
        if each.name == "stem.weight_quantizer.integers":
            each.data_type = TensorProto.INT16
    assert any("INT16" in each for each in violations(graph, "tensorrt"))


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(InputError, match="abacus"):
        violations(made("qnn"), "abacus")
