"""Networks from .onnx files: those of this project's detectors, batches, names, and files that cannot be read."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from sfcore.detectors.onnx_network import read_graph, read_network
from sfcore.detectors.registry import create
from sfcore.errors import InputError
from tests.detectors.onnx_files import difference, expected, ints, model_of, numbers, saved

IMAGES = torch.rand(3, 4, 6, 8, generator=torch.Generator().manual_seed(0))
TINY = ("bezierlanenet-tiny", "condlanenet-tiny", "ganet-tiny", "laneatt-tiny", "lstr-tiny", "resa-tiny", "scnn-tiny")
ALWAYS = ("ganet-tiny", "lstr-tiny")  # all others take minutes together: --every-run
node = helper.make_node


def exported(module: torch.nn.Module, images: torch.Tensor, path: Path, **options: Any) -> Path:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.onnx.export(module, (images,), path, dynamo=True, external_data=False, verbose=False, **options)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_a_detector_that_was_exported_computes_the_same(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name not in ALWAYS and not request.config.getoption("--every-run"):
        pytest.skip("only with --every-run")
    detector = create(name)
    spec = detector.preprocessing
    images = spec.normalize(spec.example(3, torch.Generator().manual_seed(0)))
    path = exported(detector, images[:1], tmp_path / "one.onnx", opset_version=21)
    network = read_network(path, images)
    with torch.no_grad():
        found, wanted = network(images), detector(images)
    assert not network.graph.apart
    for value, own in zip(found.values(), wanted.values(), strict=True):
        assert difference(value, own) <= 1e-4
    for output, value in expected(path, images[:1]).items():
        assert difference(found[output][:1], value) <= 1e-4


def test_a_batch_that_is_left_open_is_any(tmp_path: Path) -> None:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = torch.nn.Conv2d(4, 3, 3, 2), torch.nn.Linear(18, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(self.conv(x).reshape(x.shape[0], -1)).reshape(x.shape[0], 5)

    torch.manual_seed(0)
    module = Flat().eval()
    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    path = exported(module, IMAGES[:2], tmp_path / "one.onnx", opset_version=18, dynamic_shapes=(batch,))
    network = read_network(path, IMAGES)
    assert not network.graph.apart
    with torch.no_grad():
        (found,) = network(IMAGES).values()
        assert difference(found, module(IMAGES)) <= 1e-5
    assert {"conv.weight", "linear.bias"} <= network.state_dict().keys()


def test_images_that_a_file_mixes_are_computed_one_by_one(tmp_path: Path) -> None:
    nodes = [node("ReduceMax", ["x"], ["most"], keepdims=1), node("Div", ["x", "most"], ["y"])]
    path = saved(tmp_path / "one.onnx", nodes)
    network = read_network(path, IMAGES)
    assert network.graph.apart
    assert difference(network(IMAGES)["y"], expected(path, IMAGES)["y"]) <= 1e-6


def test_images_that_are_moved_to_another_axis_stay_together(tmp_path: Path) -> None:
    """As in a Transformer whose sequences come first: (B, C, H, W) to (HW, B, C), heads, and back."""
    nodes = [
        node("Reshape", ["x", "flat"], ["a"]), node("Transpose", ["a"], ["b"], perm=[2, 0, 1]),
        node("Reshape", ["b", "heads"], ["c"]), node("Transpose", ["c"], ["d"], perm=[1, 0, 2]),
        node("Transpose", ["c"], ["e"], perm=[1, 2, 0]), node("MatMul", ["d", "e"], ["f"]),
        node("MatMul", ["f", "d"], ["g"]),
        node("Transpose", ["g"], ["h"], perm=[1, 0, 2]), node("Reshape", ["h", "rows"], ["i"]),
        node("MatMul", ["i", "weight"], ["j"]), node("Reshape", ["j", "sequence"], ["k"]),
        node("Softmax", ["k"], ["y"]),
    ]  # fmt: skip
    shapes = {"flat": ints(1, 4, 48), "heads": ints(48, 2, 2), "rows": ints(48, 4), "sequence": ints(48, 1, 4)}
    path = saved(tmp_path / "one.onnx", nodes, {**shapes, "weight": numbers(4, 4)})
    network = read_network(path, IMAGES)
    each = torch.cat([network(image[None])["y"] for image in IMAGES], 1)
    assert network.graph.apart or difference(network(IMAGES)["y"], each) <= 1e-5
    assert difference(network(IMAGES[:1])["y"], expected(path, IMAGES[:1])["y"]) <= 1e-5


def test_truths_choose(tmp_path: Path) -> None:
    nodes = [
        node("Greater", ["x", "level"], ["a"]), node("Less", ["x", "top"], ["b"]), node("And", ["a", "b"], ["c"]),
        node("Or", ["a", "b"], ["d"]), node("Xor", ["c", "d"], ["e"]), node("Not", ["e"], ["f"]),
        node("CastLike", ["f", "x"], ["g"]), node("Where", ["c", "x", "g"], ["y"]),
    ]  # fmt: skip
    levels = {"level": np.array(0.3, np.float32), "top": np.array([0.7], np.float32)}
    path = saved(tmp_path / "one.onnx", nodes, levels)
    assert torch.equal(read_network(path, IMAGES)(IMAGES)["y"], expected(path, IMAGES)["y"])


def test_shapes_are_worked_out_beforehand(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "places"], ["size"]),
        node("Cast", ["size"], ["floats"], to=TensorProto.FLOAT), node("Mul", ["floats", "half"], ["halved"]),
        node("Cast", ["halved"], ["half_size"], to=TensorProto.INT64),
        node("Concat", ["front", "half_size"], ["all"], axis=0),
        node("Resize", ["x", "", "", "all"], ["y"], mode="linear"),
    ]  # fmt: skip
    constants = {"places": ints(2, 3), "half": np.array(0.5, np.float32), "front": ints(1, 4)}
    path = saved(tmp_path / "one.onnx", nodes, constants, shape=("n", 4, "h", "w"))
    network = read_network(path, IMAGES)
    assert len(network.graph.steps) == 1
    assert difference(network(IMAGES)["y"], expected(path, IMAGES)["y"]) <= 1e-6


def test_a_layer_that_is_used_twice_is_one(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "tower.0.weight"], ["a"]), node("Conv", ["a", "tower.0.weight"], ["b"]),
             node("Conv", ["b", "tower.0.weight"], ["y"], pads=[1, 1, 1, 1], kernel_shape=[1, 1])]  # fmt: skip
    path = saved(tmp_path / "one.onnx", nodes, {"tower.0.weight": numbers(4, 4, 1, 1)})
    network = read_network(path, IMAGES)
    assert list(network.state_dict()) == ["tower.0.weight", "Conv_2.weight"]
    assert difference(network(IMAGES)["y"], expected(path, IMAGES)["y"]) <= 1e-5


def test_what_no_output_needs_is_not_read(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Unheard", ["x"], ["z"], domain="far.away")]
    path = saved(tmp_path / "one.onnx", nodes, outputs=("y", "z"))
    assert list(read_graph(path, IMAGES, ["y"])(IMAGES)) == ["y"]
    with pytest.raises(InputError, match=r"the operator far\.away\.Unheard .* is not known here"):
        read_graph(path, IMAGES)


def write(path: Path, model: onnx.ModelProto) -> None:
    path.write_bytes(model.SerializeToString())


def missing(path: Path) -> None: ...


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_onnx(path: Path) -> None:
    path.write_bytes(b"\x80\x02}q\x00." * 20)


def text(path: Path) -> None:
    path.write_text("a network, I promise")


def cut(path: Path) -> None:
    saved(path, [node("MatMul", ["x", "w"], ["y"])], {"w": numbers(8, 500)})
    path.write_bytes(path.read_bytes()[:4000])


def external(path: Path) -> None:
    model = model_of([node("MatMul", ["x", "w"], ["y"])], {"w": numbers(8, 50)})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    write(path, model)


def too_few_bytes(path: Path) -> None:
    model = model_of([node("MatMul", ["x", "w"], ["y"])], {"w": numbers(8, 50)})
    model.graph.initializer[0].raw_data = b"1234"
    write(path, model)


def old(path: Path) -> None:
    saved(path, [node("Relu", ["x"], ["y"])], opset=7)


def two_inputs(path: Path) -> None:
    model = model_of([node("Add", ["x", "other"], ["y"])])
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    write(path, model)


def batch_of_four(path: Path) -> None:
    saved(path, [node("Relu", ["x"], ["y"])], shape=(4, 4, 6, 8))


def another_size(path: Path) -> None:
    saved(path, [node("Relu", ["x"], ["y"])], shape=(1, 4, 60, 80))


def graph_inside(path: Path) -> None:
    one = helper.make_graph([node("Relu", ["x"], ["r"])], "one", [], [onnx.ValueInfoProto(name="r")])
    nodes = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Cast", ["m"], ["c"], to=TensorProto.BOOL),
             node("If", ["c"], ["y"], then_branch=one, else_branch=one)]  # fmt: skip
    saved(path, nodes)


def wrong_shapes(path: Path) -> None:
    saved(path, [node("Conv", ["x", "w"], ["y"])], {"w": numbers(5, 3, 1, 1)})


BAD = [
    (missing, "there is no .onnx file {path}: check"),
    (empty, "{path} is no readable ONNX file (it holds no graph)"),
    (no_onnx, "{path} is no readable ONNX file"),
    (text, "{path} is no readable ONNX file"),
    (cut, "{path} is no readable ONNX file"),
    (too_few_bytes, "{path} is no readable ONNX file"),
    (external, "{path} keeps 1 weights in other files (w): put all into one"),
    (old, "{path} is of opset 7: 9 to 24 are read"),
    (two_inputs, "{path} has 2 inputs (x, other)"),
    (batch_of_four, "{path} reads an input of shape (4, 4, 6, 8): export it for a batch of 1"),
    (another_size, "{path} reads an input of shape (1, 4, 60, 80), and the plug-in makes inputs of (1, 4, 6, 8)"),
    (graph_inside, "{path}: the operator If (node 'If_2') cannot be read: it holds a graph of its own"),
    (wrong_shapes, "{path}: the operator Conv (node 'Conv_0') cannot be read: it fails"),
]


@pytest.mark.parametrize(("make", "said"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_file_is_refused_in_one_line(make: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "one.onnx"
    make(path)
    with pytest.raises(InputError) as refused:
        read_network(path, IMAGES)
    assert str(refused.value).startswith(said.format(path=path)) and "\n" not in str(refused.value)


def test_without_onnx_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'selective-focus-studio\[deploy\]'"):
        read_network(tmp_path / "one.onnx", IMAGES)


def test_short_floats_are_computed_in_32_bits(tmp_path: Path) -> None:
    model = model_of(
        [node("Cast", ["x"], ["a"], to=10), node("MatMul", ["a", "w"], ["b"]), node("Cast", ["b"], ["y"], to=1)]
    )
    model.graph.initializer.append(numpy_helper.from_array(numbers(8, 5).astype(np.float16), "w"))
    write(tmp_path / "one.onnx", model)
    network = read_network(tmp_path / "one.onnx", IMAGES)
    assert network(IMAGES)["y"].dtype == torch.float32
    assert difference(network(IMAGES)["y"], IMAGES @ torch.from_numpy(numbers(8, 5))) <= 2e-3
