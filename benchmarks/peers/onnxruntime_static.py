"""``quantize_static`` of onnxruntime: Q/DQ, signed weights per channel, unsigned activations with zero points.

By default it rounds the inputs and outputs of every operator that it knows, layer norms and softmax included; with
``products`` those of convolutions and matrix products alone, as its documents advise for transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.base import PEERS, Made, Problem

PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# The method of calibration, and the operators that are quantized: all where none are named.
ENTRIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "minmax": ("MinMax", ()), "entropy": ("Entropy", ()), "percentile": ("Percentile", ()),
    "minmax-products": ("MinMax", PRODUCTS), "percentile-products": ("Percentile", PRODUCTS),
}  # fmt: skip


class _Reader:
    """Feeds the samples, one at a time, under the name of the model's input."""

    def __init__(self, name: str, samples: Sequence[np.ndarray]) -> None:
        self._left = iter([{name: sample} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)


def quantized(method: str, operators: Sequence[str], problem: Problem, folder: Path) -> Made:
    """Prepare the graph as onnxruntime asks, calibrate and write."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, file = folder / "prepared.onnx", folder / "model.onnx"
    quant_pre_process(problem.model, prepared)
    name = onnx.load(prepared).graph.input[0].name
    quantize_static(
        prepared, file, _Reader(name, problem.samples()), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=list(operators),
        calibrate_method=CalibrationMethod[method],
    )  # fmt: skip
    return Made(file, ("onnxruntime",))


for _name, (_method, _operators) in ENTRIES.items():
    PEERS.register(f"onnxruntime-{_name}")(partial(quantized, _method, _operators))
