"""ONNX in float32 beside the encodings of its tensors, for Qualcomm's compilers (AI Engine Direct, AI Hub)."""

from __future__ import annotations

from pathlib import Path

from sfcore.errors import needs_package
from sfcore.export.base import EXPORTERS, Subject, Written
from sfcore.files import write_json

FILE, ENCODINGS = "model-encodings.onnx", "model.encodings"


@EXPORTERS.register("encodings")
def encodings(subject: Subject, folder: Path) -> Written:
    """Standard operators, rounded weights in float32, and JSON that says how each tensor is rounded."""
    model = subject.needs_quantized()
    try:
        from sfcore.export.encodings import VERSION, encoded
        from sfcore.export.graph import traced
        from sfcore.export.integers import OPSET_OF_SMALL_TYPES
        from sfcore.export.norm_folding import folded_into_norms
        from sfcore.export.proto import save
        from sfcore.export.qdq import quantized_graph
    except ImportError as error:
        raise needs_package(error, "the format encodings") from error
    folded, said = folded_into_norms(model)
    graph = traced(folded, subject.opset, subject.batch, mark_biases=subject.integer_bias)
    # The file holds no integers, so that those of the JSON may be of any type, whatever the opset.
    notes = (*said, *quantized_graph(graph, model, signed=False, types=OPSET_OF_SMALL_TYPES))
    found = encoded(graph, model)
    save(graph, subject.about, folder / FILE)
    write_json(folder / ENCODINGS, {"version": VERSION, "encodings": found})
    return Written({FILE: "the network, to be rounded as the encodings say", ENCODINGS: "the encodings"}, notes)
