"""Each operator against onnxruntime, on one image and on several of a file that is made for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper

from sfcore.detectors.layers import MatMul
from sfcore.detectors.onnx_network import read_network
from sfcore.detectors.onnx_network.operators import operators
from sfcore.errors import InputError
from tests.detectors.onnx_files import difference, expected, ints, numbers, saved

ALLOWED = 1e-5


@dataclass(frozen=True)
class Case:
    """One operator on an input and constants; None leaves one out, a name refers to the input."""

    kind: str
    constants: Sequence[Any]
    attributes: dict[str, Any]
    shape: tuple[int, ...]
    opset: int
    results: int
    together: bool

    def save(self, path: Path) -> Path:
        names = ["x", *("" if value is None else value if isinstance(value, str) else f"c{i}"
                        for i, value in enumerate(self.constants))]  # fmt: skip
        weights = {f"c{i}": value for i, value in enumerate(self.constants) if isinstance(value, np.ndarray)}
        outputs = ["y", *(f"y{i}" for i in range(1, self.results))]
        node = helper.make_node(self.kind, names, outputs, **self.attributes)
        nodes, results = [node], outputs
        if self.kind in TRUTHS:
            nodes, results = [node, helper.make_node("Cast", ["y"], ["z"], to=1)], ["z"]
        if self.kind in PLACES:
            nodes.append(helper.make_node("Cast", [outputs[-1]], ["z"], to=1))
            results = [*outputs[:-1], "z"]
        return saved(path, nodes, weights, shape=self.shape, opset=self.opset, outputs=results)


TRUTHS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN")
PLACES = ("ArgMax", "ArgMin", "TopK")


def case(
    kind: str, *constants: Any, shape: tuple[int, ...] = (1, 4, 6, 8), opset: int = 18, results: int = 1,
    together: bool = True, **attributes: Any,
) -> Any:  # fmt: skip
    about = ",".join(f"{name}={value}" for name, value in attributes.items())
    made = Case(kind, constants, attributes, shape, opset, results, together)
    return pytest.param(made, id=f"{kind}-{opset}-{about}"[:70])


ONE, HALF = numbers(1), np.array(0.5, np.float32)
UNARY = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "HardSwish", "Erf", "Exp", "Log", "Sqrt", "Neg",
         "Abs", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Sin", "Cos", "Tan", "Atan", "Identity", "LeakyRelu",
         "Elu", "Selu", "HardSigmoid", "GlobalAveragePool", "GlobalMaxPool", "IsNaN")  # fmt: skip
BINARY = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Min",
    "Max",
    "Sum",
    "Mean",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
)
REDUCED = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
           "ReduceLogSumExp")  # fmt: skip
GRID = numbers(1, 5, 7, 2) * 1.3
CASES = [
    *(case(kind) for kind in UNARY),
    *(case(kind, numbers(4, 1, 8)) for kind in BINARY),
    case("Pow", np.full(1, 2, np.float32)), case("Mod", numbers(4, 1, 1), fmod=1), case("Min", numbers(4, 1, 1), ONE),
    case("PRelu", numbers(4, 1, 1)), case("LeakyRelu", alpha=0.3), case("Elu", alpha=0.4),
    case("HardSigmoid", alpha=0.4, beta=0.3), case("Gelu", opset=20), case("Gelu", opset=20, approximate="tanh"),
    case("Clip", np.array(-0.2, np.float32), HALF), case("Clip", None, HALF), case("Clip"),
    case("Clip", opset=10, min=-0.1, max=0.3),
    case("Dropout"), case("Dropout", opset=11, ratio=0.5), case("Cast", to=1),
    *(case(kind, axis=axis, opset=opset) for kind in ("Softmax", "LogSoftmax")
      for opset in (11, 13) for axis in (1, 3)),
    *(case(kind, ints(2, 3), keepdims=keep) for kind in REDUCED for keep in (0, 1)),
    case("ReduceMean", axes=[1, -1], opset=13), case("ReduceSum", ints(1)), case("ReduceSum", axes=[1], opset=11),
    case("ReduceSum", None, noop_with_empty_axes=1), case("ReduceMean", together=False, keepdims=0),
    case("ArgMax", axis=1), case("ArgMin", axis=3, keepdims=0), case("TopK", ints(3), results=2),
    case("TopK", ints(2), results=2, axis=1, largest=0),
    case("CumSum", np.array(2)), case("CumSum", np.array(-1), exclusive=1, reverse=1),
    # layers
    case("Conv", numbers(5, 4, 3, 3), numbers(5)), case("Conv", numbers(5, 4, 3, 3), pads=[1, 0, 2, 1], strides=[2, 1]),
    case("Conv", numbers(4, 2, 3, 3), group=2, dilations=[2, 1], pads=[2, 1, 2, 1]),
    *(case("Conv", numbers(5, 4, 3, 2), auto_pad=how, strides=[2, 2]) for how in ("SAME_UPPER", "SAME_LOWER", "VALID")),
    case("Conv", numbers(5, 4, 3), shape=(1, 4, 9)), case("Conv", numbers(2, 4, 1, 2, 2), shape=(1, 4, 3, 4, 5)),
    case("ConvTranspose", numbers(4, 3, 2, 2), numbers(3), strides=[2, 2]),
    case("ConvTranspose", numbers(4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    case("ConvTranspose", numbers(4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 0, 0]),
    case("ConvTranspose", numbers(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", numbers(4, 2, 3, 3), group=2, dilations=[2, 2]),
    case("Gemm", numbers(6, 5), numbers(5), shape=(1, 6)), case("Gemm", numbers(5, 6), shape=(1, 6), transB=1),
    case("Gemm", numbers(5, 6), numbers(1, 5), shape=(1, 6), transB=1, alpha=0.5, beta=2.0),
    case("MatMul", numbers(8, 5)), case("MatMul", numbers(4, 8, 5)), case("MatMul", "x", shape=(1, 3, 5, 5)),
    case("BatchNormalization", numbers(4), numbers(4), numbers(4), np.abs(numbers(4)), epsilon=1e-3),
    case("BatchNormalization", numbers(4), numbers(4), numbers(4), np.abs(numbers(4)), shape=(1, 4, 7), opset=11),
    case("LayerNormalization", numbers(8), numbers(8)), case("LayerNormalization", numbers(6, 8), axis=2, epsilon=1e-3),
    case("InstanceNormalization", numbers(4), numbers(4)), case("Einsum", "x", equation="b c h w, b c h v -> b h w v"),
    # windows
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), case("MaxPool", kernel_shape=[2, 3]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER", shape=(1, 2, 5, 7)),
    *(case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=pads, count_include_pad=counted)
      for pads in ([1, 1, 1, 1], [0, 0, 1, 1]) for counted in (0, 1)),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 0), HALF), case("Pad", ints(0, 0, -1, 2, 0, 0, 1, -2)),
    case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 4), mode="reflect"), case("Pad", ints(0, 0, 1, 2, 0, 0, 3, 4), mode="edge"),
    case("Pad", ints(1, 2, 3, 4), None, ints(2, -1), opset=19, mode="wrap"),
    case("Pad", opset=10, pads=[0, 1, 0, 0, 0, 0, 2, 0], value=0.5),
    # shapes
    case("Reshape", ints(1, 8, 24)), case("Reshape", ints(1, -1)), case("Reshape", ints(0, 0, -1)),
    case("Reshape", ints(4, 6, 8)), case("Flatten"), case("Flatten", axis=2),
    case("Transpose", perm=[0, 2, 3, 1]), case("Transpose", together=False),
    case("Squeeze", ints(1), shape=(1, 1, 6, 8)),
    case("Squeeze", opset=11, axes=[2], shape=(1, 4, 1, 8)), case("Unsqueeze", ints(1, -1)),
    case("Unsqueeze", opset=11, axes=[2]), case("Expand", ints(1, 4, 6, 8), shape=(1, 4, 1, 8)),
    case("Expand", ints(4, 3, 8), shape=(1, 4, 1, 8)), case("Tile", ints(1, 2, 1, 3)),
    case("Concat", numbers(1, 2, 6, 8), "x", axis=1),
    case("Split", ints(1, 3), results=2, axis=1), case("Split", opset=13, results=2, axis=2),
    case("Split", num_outputs=3, results=3, axis=3), case("Split", opset=11, split=[2, 4], axis=2, results=2),
    case("Slice", ints(1, -3), ints(5, 9999), ints(2, -1)), case("Slice", ints(0), ints(1)),
    case("Slice", ints(-1, 4), ints(-9999, 0), ints(2, 3), ints(-1, -2)),
    case("Slice", ints(1), ints(7), ints(3), ints(3)),
    case("Gather", ints(2, -1, 0), axis=2), case("Gather", np.array(-1), axis=1),
    case("Gather", ints(0, 3).reshape(1, 2), axis=3),
    case("GatherElements", np.arange(192).reshape(1, 4, 6, 8) % 4, axis=1, together=False),
    case("GatherND", ints(0, 1, 0, 3).reshape(2, 2), together=False),
    case("ScatterND", ints(0, 1, 0, 3).reshape(2, 2), numbers(2, 6, 8), together=False),
    case("DepthToSpace", blocksize=2), case("DepthToSpace", blocksize=2, mode="CRD"), case("SpaceToDepth", blocksize=2),
    case("Trilu", np.array(1)), case("Trilu", upper=0),
    # sampling
    *(case("Resize", None, None, ints(1, 4, 9, 20), mode=mode, coordinate_transformation_mode=how)
      for mode in ("nearest", "linear")
      for how in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")),
    *(case("Resize", None, np.array([1, 1, 2, 0.6], np.float32), mode="nearest", nearest_mode=how)
      for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
    case("Resize", None, None, ints(1, 4, 3, 1), mode="linear"),
    case("Resize", None, np.array([2, 2], np.float32), axes=[2, 3]),
    case("Resize", np.array([1, 1, 2, 2], np.float32), opset=10),
    case("Upsample", np.array([1, 1, 2, 3], np.float32), opset=9, mode="linear"),
    *(case("GridSample", GRID, mode=mode, padding_mode=around, align_corners=corners)
      for mode, around, corners in (("bilinear", "zeros", 0), ("nearest", "border", 1), ("bilinear", "reflection", 1),
                                       ("bicubic", "zeros", 0))),
    case("GridSample", GRID, mode="linear", opset=20),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES)
def test_an_operator_computes_what_onnxruntime_computes(one: Case, tmp_path: Path) -> None:
    path = one.save(tmp_path / "one.onnx")
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, *one.shape[1:], generator=generator) * 2 - 1
    images = images.abs() + 0.1 if one.kind in ("Log", "Sqrt", "Reciprocal", "ReduceProd") else images
    network = read_network(path, images)
    assert network.graph.apart != one.together
    with torch.no_grad():
        found = network(images)
    for name, value in expected(path, images).items():
        assert difference(found[name], value) <= ALLOWED


def test_all_operators_are_tried() -> None:
    tried = {one.values[0].kind for one in CASES}
    elsewhere = {"Where", "Not", "And", "Or", "Xor", "CastLike"}  # in test_onnx_network
    assert operators().keys() == tried | elsewhere


@pytest.mark.parametrize(
    "one",
    [
        case("Resize", None, None, ints(1, 4, 9, 20), mode="cubic"),
        case("AveragePool", kernel_shape=[2, 2], dilations=[2, 2], opset=19),
        case("MaxPool", kernel_shape=[2, 2], results=2),
        case("ArgMax", axis=1, select_last_index=1),
        case("Det", shape=(1, 4, 6, 6)),
    ],
)
def test_what_is_not_known_is_refused_by_name(one: Case, tmp_path: Path) -> None:
    path = one.save(tmp_path / "one.onnx")
    with pytest.raises(InputError) as said:
        read_network(path, torch.rand(2, *one.shape[1:]))
    text = str(said.value)
    assert (
        text.startswith(f"{path}: the operator {one.kind} (node '{one.kind}_0') cannot be read: ") and "Export" in text
    )


@pytest.mark.parametrize(
    ("kind", "constants", "layer"),
    [
        ("Conv", [numbers(5, 4, 3, 3)], torch.nn.Conv2d),
        ("ConvTranspose", [numbers(4, 3, 2, 2)], torch.nn.ConvTranspose2d),
        ("MatMul", [numbers(8, 5)], torch.nn.Linear),
        ("MatMul", [numbers(4, 8, 5)], MatMul),
        ("BatchNormalization", [numbers(4), numbers(4), numbers(4), np.abs(numbers(4))], torch.nn.BatchNorm2d),
    ],
)
def test_what_multiplies_is_a_layer(kind: str, constants: list[Any], layer: type, tmp_path: Path) -> None:
    path = case(kind, *constants).values[0].save(tmp_path / "one.onnx")
    network = read_network(path, torch.rand(2, 4, 6, 8))
    assert [type(each) for each in network.graph.layers.values()] == [layer]
