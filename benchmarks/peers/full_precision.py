"""Nothing quantized: what engines alone make of the network."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.base import PEERS, Made, Problem


@PEERS.register("full-precision")
def full_precision(problem: Problem, folder: Path) -> Made:
    """The file as it is."""
    return Made(problem.model, ("onnxruntime", "openvino"), "32")
