"""Engines that take any Q/DQ model of standard operators: onnxruntime, OpenVINO."""

from sfcore.quant.targets.base import TARGETS, Target

TARGETS.register("portable")(
    Target(
        "Any engine of standard Q/DQ models, such as onnxruntime and OpenVINO: int32 biases.",
        weight_bits=range(2, 17),
        activation_bits=range(2, 17),
    )
)
