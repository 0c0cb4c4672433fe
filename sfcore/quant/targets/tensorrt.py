"""NVIDIA TensorRT: INT8 alone, signed and without zero points, Q/DQ at the inputs of residual adds, float biases.

Source: TensorRT developer guide, "Working with Quantized Types". Its INT4 is for weights whose activations stay in
floating point, which no scheme here asks for.
"""

from sfcore.quant.targets.base import TARGETS, Target

TARGETS.register("tensorrt")(
    Target(
        "NVIDIA TensorRT: signed INT8 without zero points, residual adds quantized.",
        weight_bits=(8,),
        activation_bits=(8,),
        signed=True,
        affine=False,
        integer_bias=False,
        adds=True,
    )
)
