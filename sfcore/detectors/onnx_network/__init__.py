"""Networks from .onnx files: a graph read into layers that can be quantized and plain tensor code around them."""

from __future__ import annotations

from sfcore.detectors.onnx_network.graph import Graph, OnnxNetwork, read_graph, read_network

__all__ = ["Graph", "OnnxNetwork", "read_graph", "read_network"]
