"""Small .onnx files, and what onnxruntime makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor


def numbers(*shape: int) -> np.ndarray:
    """Floats between -1 and 1, the same for the same shape."""
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def model_of(
    nodes: Sequence[Any],
    constants: dict[str, np.ndarray] | None = None,
    shape: Sequence[int | str] = (1, 4, 6, 8),
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
    input: str = "x",
) -> onnx.ModelProto:
    """A model of some nodes with one input."""
    given = helper.make_tensor_value_info(input, TensorProto.FLOAT, list(shape))
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    for each in made:
        each.type.tensor_type.elem_type = TensorProto.FLOAT
    weights = [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "test", [given], made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def saved(path: Path, nodes: Sequence[Any], constants: dict[str, np.ndarray] | None = None, **about: Any) -> Path:
    onnx.save(model_of(nodes, constants, **about), path)
    return path


def expected(path: Path, images: Tensor) -> dict[str, Tensor]:
    """What onnxruntime computes, image by image."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names, given = [each.name for each in session.get_outputs()], session.get_inputs()[0].name
    found = [session.run(None, {given: image[None].numpy()}) for image in images]
    return {
        name: torch.cat([torch.from_numpy(np.atleast_1d(each[i])) for each in found]) for i, name in enumerate(names)
    }


def difference(one: Tensor, other: Tensor) -> float:
    """The largest, by the largest value of the second."""
    assert one.shape == other.shape and one.dtype == other.dtype
    one, other = one.detach(), other.detach()
    both = one.isfinite() & other.isfinite()
    assert torch.equal(one[~both].nan_to_num(), other[~both].nan_to_num())
    one, other = one[both].double(), other[both].double()
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-9)) if len(other) else 0.0
