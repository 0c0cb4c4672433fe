"""OpenVINO on the CPU; what is not quantized is computed in float32.

By default it would be bfloat16 where the processor has units for it: heads then move by more than 8 bits move them, and
differently on another machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sfcore.engines.base import ENGINES, Outputs, Session, failed
from sfcore.errors import needs_package

NAME = "openvino"


@ENGINES.register(NAME)
def openvino(path: Path, threads: int = 0) -> Session:
    """Load an .onnx or .xml file.

    Raises:
        InputError: the package is missing, or it cannot compile the file.
    """
    try:
        import openvino as ov
    except ImportError as error:
        raise needs_package(error, f"the engine {NAME}") from error
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = ov.Core().compile_model(path, "CPU", settings)
    except Exception as error:  # RuntimeError, or what its binding raises
        raise failed(NAME, path, error) from error

    def run(images: np.ndarray) -> Outputs:
        try:
            found = compiled.infer_new_request([images])  # one of its own: several threads may ask at once
        except Exception as error:
            raise failed(NAME, path, error) from error
        return [np.array(each) for each in found.to_tuple()]

    return run
