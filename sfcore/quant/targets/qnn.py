"""Qualcomm QNN (AI Engine Direct): an encoding for every tensor, residual adds included.

Source: AI Engine Direct SDK, "Quantization"; weights of 4, 8 or 16 bits, activations of 8 or 16.
"""

from sfcore.quant.targets.base import TARGETS, Target

TARGETS.register("qnn")(
    Target(
        "Qualcomm QNN: weights of 4, 8 or 16 bits, activations of 8 or 16, residual adds quantized.",
        weight_bits=(4, 8, 16),
        activation_bits=(8, 16),
        adds=True,
    )
)
