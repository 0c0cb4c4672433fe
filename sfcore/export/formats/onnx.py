"""ONNX with QuantizeLinear and DequantizeLinear: what onnxruntime, OpenVINO and TensorRT read."""

from __future__ import annotations

from pathlib import Path

from sfcore.errors import needs_package
from sfcore.export.base import EXPORTERS, Subject, Written

FILE = "model.onnx"


@EXPORTERS.register("onnx")
def onnx(subject: Subject, folder: Path) -> Written:
    """Standard operators, integer weights, packed where they have 4 bits or fewer."""
    model = subject.needs_quantized()
    try:
        from sfcore.export.graph import traced
        from sfcore.export.norm_folding import folded_into_norms
        from sfcore.export.proto import save
        from sfcore.export.qdq import quantized_graph
    except ImportError as error:
        raise needs_package(error, "the format onnx") from error
    folded, said = folded_into_norms(model)
    graph = traced(folded, subject.opset, subject.batch, mark_biases=subject.integer_bias)
    notes = (*said, *quantized_graph(graph, model, subject.signed))
    save(graph, subject.about, folder / FILE)
    return Written({FILE: "the quantized network, as Q/DQ"}, notes)
