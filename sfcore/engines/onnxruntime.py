"""onnxruntime on the CPU, at the optimisation level that it has by default."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sfcore.engines.base import ENGINES, Outputs, Session, failed
from sfcore.errors import needs_package

NAME = "onnxruntime"


@ENGINES.register(NAME)
def onnxruntime(path: Path, threads: int = 0) -> Session:
    """Load an .onnx file.

    Raises:
        InputError: the package is missing, or it cannot load the file.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise needs_package(error, f"the engine {NAME}") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no common parent
        raise failed(NAME, path, error) from error
    source = session.get_inputs()[0].name

    def run(images: np.ndarray) -> Outputs:
        try:
            return list(session.run(None, {source: images}))
        except Exception as error:
            raise failed(NAME, path, error) from error

    return run
