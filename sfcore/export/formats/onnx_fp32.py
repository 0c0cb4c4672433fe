"""ONNX of the network in full precision: what quantized files are compared with."""

from __future__ import annotations

from pathlib import Path

from sfcore.errors import needs_package
from sfcore.export.base import EXPORTERS, Subject, Written

FILE = "model-fp32.onnx"


@EXPORTERS.register("onnx-fp32")
def onnx_fp32(subject: Subject, folder: Path) -> Written:
    """Standard operators, float32 weights."""
    try:
        from sfcore.export.graph import traced
        from sfcore.export.proto import save
    except ImportError as error:
        raise needs_package(error, "the format onnx-fp32") from error
    save(traced(subject.detector, subject.opset, subject.batch), subject.about, folder / FILE)
    return Written({FILE: "the network in full precision"})
