"""The ONNX files: what is in them, and that they compute what the simulation does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper

from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.export.base import EXPORTERS, Subject
from sfcore.export.files import export
from sfcore.export.proto import about, load
from sfcore.quant import Scheme, quantize
from tests.detectors.small import Small
from tests.export.conftest import (
    SCENES,
    Exported,
    calibrated,
    departure,
    frames,
    simulated,
    small_images,
    small_subject,
    unoptimised,
)

INT8, INT4 = "W8A8-portable", "W4A4-adds-portable"
FILE = "model.onnx"


def kinds(graph: onnx.ModelProto) -> Counter[int]:
    return Counter(each.data_type for each in graph.graph.initializer)


def exported_small(scheme: str, folder: Path, batch: int | str = 8, opset: int = 21) -> Path:
    export(small_subject(scheme, batch, opset), ["onnx"], folder)
    return folder / FILE


@pytest.mark.parametrize("scheme", [INT8, INT4])
def test_there_is_one_input_and_an_output_for_each_head(scheme: str, exported: Exported) -> None:
    detector = calibrated("ganet-tiny", scheme).detector
    graph = load(exported("ganet-tiny", scheme, "onnx") / FILE).graph
    (source,) = graph.input
    assert source.name == "images" and source.type.tensor_type.elem_type == TensorProto.FLOAT
    assert [each.dim_value for each in source.type.tensor_type.shape.dim] == list(frames(detector)[:1].shape)
    assert [each.name for each in graph.output] == [head.name for head in detector.heads]


@pytest.mark.parametrize("scheme", [INT8, INT4])
def test_only_standard_operators_are_used(scheme: str, exported: Exported) -> None:
    graph = load(exported("ganet-tiny", scheme, "onnx") / FILE)
    assert {node.domain for node in graph.graph.node} == {""} and len(graph.functions) == 0
    assert [(each.domain, each.version) for each in graph.opset_import] == [("", 21)]


def test_weights_are_integers_and_biases_are_int32(exported: Exported) -> None:
    graph = load(exported("ganet-tiny", INT8, "onnx") / FILE)
    layers, found = sum(node.op_type == "Conv" for node in graph.graph.node), kinds(graph)
    assert found[TensorProto.INT8] == found[TensorProto.INT32] == layers > 20


def test_weights_of_4_bits_are_packed(exported: Exported) -> None:
    whole = exported("ganet-tiny", INT8, "onnx") / FILE
    packed = exported("ganet-tiny", INT4, "onnx") / FILE
    graph = load(packed)
    small = [each for each in graph.graph.initializer if each.data_type == TensorProto.INT4]
    assert len(small) > 20
    assert all(len(each.raw_data) == -(-np.prod(each.dims) // 2) for each in small)
    assert packed.stat().st_size < 0.65 * whole.stat().st_size


@pytest.mark.parametrize("scheme", [INT8, INT4])
def test_a_file_tells_of_itself_and_not_of_this_machine(scheme: str, exported: Exported) -> None:
    path = exported("ganet-tiny", scheme, "onnx") / FILE
    said, content = about(load(path)), path.read_bytes()
    assert said["detector"] == "ganet-tiny" and json.loads(said["scheme"])["bits"] == scheme
    assert json.loads(said["scheme"])["target"] == "portable" and "images" in json.loads(said["hashes"])
    size = frames(calibrated("ganet-tiny", scheme).detector).shape[2:]
    assert json.loads(said["preprocessing"])["size"] == list(size)
    for local in (str(Path(__file__).parents[2]), str(Path.cwd()), "site-packages", 'File "', SCENES[0]):
        assert local.encode() not in content


@pytest.mark.parametrize("scheme", [INT4, INT8])
def test_a_file_computes_what_the_simulation_does(scheme: str, exported: Exported) -> None:
    subject = calibrated("ganet-tiny", scheme)
    images = frames(subject.detector)[:1]
    found = unoptimised(exported("ganet-tiny", scheme, "onnx") / FILE, images)
    # A value between two steps may go to either, and of 255 steps more do than of 15.
    assert departure(found, simulated(subject.needs_quantized(), images)) < (1e-3 if scheme == INT4 else 5e-2)


@pytest.mark.parametrize(
    "scheme", ["W8A8-portable", "W4A4-adds-portable", "W3A16-affine-portable", "W4A8-tensor-portable", "W8A8-tensorrt",
               "W9A5-portable", "W4A8-qnn"]
)  # fmt: skip
def test_all_kinds_of_layers_compute_what_the_simulation_does(scheme: str, tmp_path: Path) -> None:
    path = exported_small(scheme, tmp_path)
    expected = simulated(small_subject(scheme).needs_quantized(), small_images())
    assert departure(unoptimised(path, small_images()), expected) < 1e-3


def test_types_are_those_of_the_target(tmp_path: Path) -> None:
    types = {scheme: kinds(load(exported_small(scheme, tmp_path / scheme)))
             for scheme in ("W8A8-tensorrt", "W8A8-portable", "W4A16-portable")}  # fmt: skip
    assert set(types["W8A8-tensorrt"]) & {TensorProto.UINT8, TensorProto.INT32} == set()
    assert TensorProto.UINT8 in types["W8A8-portable"] and TensorProto.INT32 in types["W8A8-portable"]
    assert {TensorProto.UINT16, TensorProto.INT4} <= set(types["W4A16-portable"])


def test_signed_types_have_no_zero_points_but_0(tmp_path: Path) -> None:
    graph = load(exported_small("W8A8-tensorrt", tmp_path)).graph
    zeros = [numpy_helper.to_array(each) for each in graph.initializer if each.name.endswith(".zero")]
    assert zeros and not any(zero.any() for zero in zeros)


def test_a_batch_may_be_of_any_number(exported: Exported) -> None:
    folder = exported("ganet-tiny", INT4, "onnx", batch="dynamic")
    subject = calibrated("ganet-tiny", INT4)
    images = torch.cat([frames(subject.detector), frames(subject.detector).flip(-1)[:1]])
    for count in (1, 3):
        found = unoptimised(folder / FILE, images[:count])
        assert departure(found, simulated(subject.needs_quantized(), images[:count])) < 1e-3


def test_a_batch_of_any_number_is_possible_with_attention(tmp_path: Path) -> None:
    path = exported_small(INT8, tmp_path, batch="dynamic")
    model = small_subject(INT8).needs_quantized()
    for count in (1, 3):
        assert departure(unoptimised(path, small_images()[:count]), simulated(model, small_images()[:count])) < 1e-3


@pytest.mark.slow
def test_what_does_not_depend_on_images_is_not_rounded_again(exported: Exported) -> None:
    path = exported("lstr-tiny", "W8A8-adds-portable", "onnx") / FILE
    subject, graph = calibrated("lstr-tiny", "W8A8-adds-portable"), load(path).graph
    constants = [each.name for each in graph.initializer if each.name.endswith(".constant")]
    assert constants
    computed = {"images"}
    for node in graph.node:
        computed |= set(node.output) if computed & set(node.input) else set()
    for node in graph.node:
        assert node.op_type != "QuantizeLinear" or node.input[0] in computed
    images = frames(subject.detector)[:1]
    expected = simulated(subject.needs_quantized(), images)
    assert departure(unoptimised(path, images), expected) < 5e-2
    found = ENGINES["openvino"](path, 1)(images.numpy())
    assert departure(dict(zip(expected, found, strict=True)), expected) < 2e-1


@pytest.mark.parametrize(
    ("scheme", "opset", "batch", "said"),
    [(INT8, 17, 1, "opset 17 cannot be written: choose 18 to 23"), (INT8, 24, 1, "opset 24 cannot"),
     ("W4A16-portable", 20, 1, "has 16 bits, for which opset 20 has no type: choose opset 21"),
     ("W16A8-portable", 20, 1, "has 16 bits, for which opset 20 has no type: choose opset 21")],
)  # fmt: skip
def test_what_an_opset_cannot_hold_is_refused(scheme: str, opset: int, batch: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        exported_small(scheme, tmp_path / "out", batch, opset)
    assert list((tmp_path / "out").iterdir()) == []


def test_few_bits_are_held_in_bytes_by_an_opset_without_smaller_types(tmp_path: Path) -> None:
    path = exported_small(INT4, tmp_path, opset=20)
    graph = load(path)
    assert TensorProto.INT4 not in kinds(graph) and graph.opset_import[0].version == 20
    expected = simulated(small_subject(INT4).needs_quantized(), small_images())
    assert departure(unoptimised(path, small_images()), expected) < 1e-3


class OneByOne(Small):
    """Looks at its first image alone."""

    def forward(self, images):
        return super().forward(images[:1])


class Choosing(Small):
    """Does what depends on the values of an image."""

    def forward(self, images):
        return super().forward(images if float(images.sum()) > 0 else -images)


@pytest.mark.parametrize(
    ("kind", "batch", "said"),
    [(OneByOne, "dynamic", "OneByOne cannot be exported for any number of images .*give a number, such as --batch 1"),
     (Choosing, 1, "Choosing cannot be exported to ONNX .*tensor code that torch.export traces")],
)  # fmt: skip
def test_what_cannot_be_traced_is_refused(kind: type[Small], batch: int | str, said: str, tmp_path: Path) -> None:
    subject = Subject(kind().eval(), None, {}, batch=batch)
    with pytest.raises(InputError, match=said):
        export(subject, ["onnx-fp32"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_precision_is_exported_without_a_quantized_copy(tmp_path: Path) -> None:
    subject = Subject(small_subject(INT8).detector, None, {"detector": "small"}, batch=8)
    export(subject, ["onnx-fp32"], tmp_path)
    assert departure(unoptimised(tmp_path / "model-fp32.onnx", small_images()),
                     simulated(subject.detector, small_images())) < 1e-5  # fmt: skip
    for name in EXPORTERS.names():
        if name != "onnx-fp32":
            with pytest.raises(InputError, match="name a run, or give --bits and --images"):
                export(subject, [name], tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is no ONNX file"), (b"\x00nonsense", "is no ONNX file"), (None, "there is no ONNX file")],
)
def test_a_file_that_is_no_onnx_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        load(path)


class Twice(Small):
    """Calls a layer, and so each of its quantizers, twice."""

    def forward(self, images):
        x = self.block(torch.relu(self.norm(self.stem(images)))).flatten(2).mean(-1)
        x = torch.relu(self.middle(torch.relu(self.middle(x))))
        return {"logits": self.classify(x).unsqueeze(-1), "column": 32 + 8 * self.place(x).unsqueeze(-1)}


@pytest.mark.parametrize("scheme", ["W8A8-portable", "W4A4-portable"])
def test_a_layer_may_be_called_twice(scheme: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = Twice().eval().requires_grad_(False)
    model = quantize(detector, Scheme.parse(scheme), [small_images()], "minmax", "minmax", bias_correction=False)
    export(Subject(detector, model, {}, batch=8), ["onnx", "encodings"], tmp_path)
    assert departure(unoptimised(tmp_path / FILE, small_images()), simulated(model, small_images())) < 1e-3
    encodings = json.loads((tmp_path / "model.encodings").read_text())["encodings"]
    names = {each["name"] for each in encodings}
    assert {"middle.input_quantizer", "middle.input_quantizer.2"} <= names and len(names) == len(encodings)


def test_what_openvino_takes_for_a_matrix_product_has_8_bits(tmp_path: Path) -> None:
    scheme = "W4A4-adds-portable"
    subject = calibrated("laneatt-tiny", scheme)
    export(subject, ["onnx"], tmp_path)
    types = {each.name: each.data_type for each in load(tmp_path / FILE).graph.initializer}
    assert types["conv1.weight_quantizer.integers"] == TensorProto.INT8  # 1×1, and transposed after it
    assert types["backbone.layer3.0.downsample.0.weight_quantizer.integers"] == TensorProto.INT4  # 1×1, and added
    images = frames(subject.detector)[:1]
    ENGINES["openvino"](tmp_path / FILE, 1)(images.numpy())
    expected = simulated(subject.needs_quantized(), images)
    assert departure(unoptimised(tmp_path / FILE, images), expected) < 1e-3


def test_weights_of_one_bit_are_held_as_minus_and_plus_one_in_the_smallest_type_there_is(tmp_path: Path) -> None:
    path = exported_small("W1A8", tmp_path)
    model, held = small_subject("W1A8").needs_quantized(), {each.name: each for each in load(path).graph.initializer}
    layer, integers = model.get_submodule("block.conv2"), held["block.conv2.weight_quantizer.integers"]
    assert integers.data_type == TensorProto.INT4
    values = numpy_helper.to_array(integers).astype(np.float32)
    scales = numpy_helper.to_array(held["block.conv2.weight_quantizer.scale"]).reshape(-1, 1, 1, 1)
    assert set(values.flatten().tolist()) == {-1.0, 1.0}
    np.testing.assert_array_equal(values * scales, layer.weight_quantizer(layer.weight.detach()).numpy())
    # Biases are rounded to steps of s_x · 2^s in the file alone, which are not small beside what so few weights make.
    assert departure(unoptimised(path, small_images()), simulated(model, small_images())) < 0.05
