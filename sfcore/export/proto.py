"""ONNX files: written with what they tell of themselves, and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from sfcore.errors import InputError
from sfcore.files import read_bytes, write_atomic

PRODUCER = "selective-focus-studio"


def save(graph: onnx.ModelProto, about: Mapping[str, Any], path: Path) -> None:
    """Check a graph and write it.

    Args:
        about: goes into its metadata: text as it is, all else as JSON.

    Raises:
        InputError: it cannot be written.
    """
    graph.producer_name, graph.producer_version = PRODUCER, str(about.get("versions", {}).get("sfcore", ""))
    for name, value in about.items():
        graph.metadata_props.add(key=name, value=value if isinstance(value, str) else json.dumps(value))
    onnx.checker.check_model(graph, full_check=True)
    write_atomic(path, graph.SerializeToString())


def load(path: Path) -> onnx.ModelProto:
    """The graph in a file.

    Raises:
        InputError: it cannot be read, or is no ONNX.
    """
    try:
        graph = onnx.load_model_from_string(read_bytes(path, "ONNX file"))
        onnx.checker.check_model(graph)
    except InputError:
        raise
    except Exception as error:  # onnx raises errors of protobuf, of its checker and of Python
        why = str(error).splitlines()[0].strip() if str(error).strip() else type(error).__name__
        raise InputError(f"{path} is no ONNX file that can be read ({why}): export it anew") from error
    return graph


def about(graph: onnx.ModelProto) -> dict[str, str]:
    """What a file tells of itself."""
    return {each.key: each.value for each in graph.metadata_props}
