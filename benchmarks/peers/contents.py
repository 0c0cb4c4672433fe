"""Which products of a quantized file stay in full precision, as OpenVINO reads it, whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PRODUCTS = {
    "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul",
    "DeformableConvolution",
}  # fmt: skip
# What gives values of a grid where it is given such; a factor or an offset moves the grid as a whole.
KEEPING = {
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Split", "VariadicSplit", "Slice", "StridedSlice", "Gather",
    "MaxPool", "Relu", "Pad", "Broadcast", "Tile", "Convert", "Multiply", "Subtract",
}  # fmt: skip


def unquantized(file: Path) -> tuple[int, list[str]]:
    """How many products a file has, and those with an input that is not rounded: ``NAME (weights)`` or ``(inputs)``.

    The second input of a product of activations is called its weights, too.
    """
    import openvino as ov

    products = [node for node in ov.Core().read_model(file).get_ordered_ops() if node.get_type_name() in PRODUCTS]
    left = []
    for node in products:
        sides = zip(("inputs", "weights"), node.input_values()[:2], strict=True)
        missing = [side for side, value in sides if not _rounded(value.get_node())]
        left += [f"{node.get_friendly_name()} ({', '.join(missing)})"] if missing else []
    return len(products), left


def _rounded(node: Any) -> bool:
    kind, given = node.get_type_name(), [value.get_node() for value in node.input_values()]
    if kind == "FakeQuantize" or (kind == "Constant" and node.get_element_type().is_integral()):
        return True
    if kind == "Concat":
        return all(map(_rounded, given))
    return kind in KEEPING and _rounded(given[0])
