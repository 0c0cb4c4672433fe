"""From a detector to an ONNX graph in which each quantizer is one marked node, by ``torch.onnx``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from typing import Any

import onnx
import torch
from onnxscript import FLOAT, script, values
from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.errors import InputError
from sfcore.export.base import DYNAMIC
from sfcore.quant.copies import become, copied
from sfcore.quant.layers import QuantLayer
from sfcore.quant.quantizers import Quantizer, quantizers

INPUT = "images"
DOMAIN = "sfcore.marked"  # of the nodes that stand for quantizers
BIAS = "bias"  # the last part of the name of a bias' mark
OPSETS = range(18, 24)  # that torch.onnx writes
Batch = int | str  # a number of images, or DYNAMIC
_marked = values.Opset(DOMAIN, 1)


@torch.library.custom_op("sfcore::marked", mutates_args=())
def marked(x: Tensor, name: str) -> Tensor:
    """Itself; in a graph, the place of the quantizer ``name``."""
    return x.clone()


@marked.register_fake
def _(x: Tensor, name: str) -> Tensor:
    return torch.empty_like(x)


@script(_marked, default_opset=_marked)
def _translated(x: FLOAT, name: str) -> FLOAT:
    return _marked.Marked(x, name=name)


class _Mark(nn.Module):
    """Stands for a quantizer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return marked(x, self.name)


class _Heads(nn.Module):
    """A detector that puts out a tuple, in the order of its heads."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        outputs = self.detector(images)
        return tuple(outputs[head.name] for head in self.detector.heads)


def traced(
    detector: Detector, opset: int, batch: Batch, mark: bool = True, mark_biases: bool = True
) -> onnx.ModelProto:
    """The graph of a detector: one input, ``images`` (float32, N×3×H×W), and an output for each head, called after it.

    Args:
        mark: whether quantizers that round become nodes ``Marked`` of :data:`DOMAIN` with an attribute ``name``; where
            not, a quantized detector is exported as if in full precision.
        mark_biases: whether the biases of their layers do too, where integers are added up.

    Raises:
        InputError: torch cannot export it, or not with that batch; the message says why.
    """
    if opset not in OPSETS:
        raise InputError(f"opset {opset} cannot be written: choose {OPSETS.start} to {OPSETS.stop - 1}")
    model = copied(detector).cpu().eval().requires_grad_(False)
    _replace_quantizers(model, mark, mark and mark_biases)
    count = 2 if batch == DYNAMIC else int(batch)
    spec = model.preprocessing
    example = spec.normalize(spec.example(count, torch.Generator().manual_seed(0)))
    dynamic: Any = ({0: torch.export.Dim("batch")},) if batch == DYNAMIC else None
    heads = [head.name for head in model.heads]
    try:
        with _silence():
            program = torch.onnx.export(
                _Heads(model), (example,), input_names=[INPUT], output_names=heads, opset_version=opset,
                dynamo=True, dynamic_shapes=dynamic, verbose=False, external_data=False, optimize=True,
                custom_translation_table={torch.ops.sfcore.marked.default: _translated},
            )  # fmt: skip
    except Exception as error:  # whatever a network does that torch.onnx does not know
        raise InputError(_refused(detector, batch, error)) from error
    assert program is not None
    proto = program.model_proto
    _strip(proto)
    _check_batch(detector, proto, batch)
    return proto


def _replace_quantizers(model: Detector, mark: bool, mark_biases: bool) -> None:
    for name, module in list(model.named_modules()):
        if isinstance(module, QuantLayer):
            rounded = mark_biases and module.bias_step() is not None
            bias = partial(marked, module.bias, f"{name}.{BIAS}") if rounded else partial(_itself, module.bias)
            module.rounded_bias = bias  # type: ignore[method-assign]
    for name, quantizer in list(quantizers(model)):
        become(quantizer, _Mark(name) if mark and rounds(quantizer) else nn.Identity())


def rounds(quantizer: Quantizer) -> bool:
    """Whether a quantizer does anything."""
    return quantizer.active and quantizer.known


def _itself(x: Tensor) -> Tensor:
    return x


def _strip(proto: onnx.ModelProto) -> None:
    """Drop what the exporter notes of this machine and its files at every node: most of a small file."""
    del proto.metadata_props[:]
    del proto.graph.value_info[:]
    del proto.graph.metadata_props[:]
    for each in (*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        each.doc_string = ""
        del each.metadata_props[:]
    proto.doc_string = proto.graph.doc_string = ""


def _check_batch(detector: Detector, proto: onnx.ModelProto, batch: Batch) -> None:
    """Refuse a graph that says it takes any batch and does not."""
    tensors: Sequence[Any] = (*proto.graph.input, *proto.graph.output)
    fixed = [tensor.name for tensor in tensors if tensor.type.tensor_type.shape.dim[0].dim_value]
    if batch == DYNAMIC and fixed:
        raise InputError(_refused(detector, batch, ValueError(f"the batch of {fixed[0]} came out fixed")))


def _refused(detector: Detector, batch: Batch, error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    name, why = type(detector).__name__, f"{type(error).__name__}: {lines[0].strip()}"
    if batch == DYNAMIC:
        return f"{name} cannot be exported for any number of images ({why}): give a number, such as --batch 1"
    return f"{name} cannot be exported to ONNX ({why}): its forward must be tensor code that torch.export traces"


@contextmanager
def _silence() -> Iterator[None]:
    """The exporter writes of its progress to the standard output, which is the result's, and warns of its own ways."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
