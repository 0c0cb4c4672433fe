"""Reading an .onnx file: one file, of one input, that is whole and holds its own weights; nothing in it is run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sfcore.errors import DEPLOY, InputError
from sfcore.roots import readable

OPSETS = range(9, 25)  # of ONNX's own operators, whose meaning is known here
# What the checker of ONNX finds wrong: operators are told later, with what can be done, and shapes are worked out anew.
_HARMLESS = ("No Op registered", "No opset import", "Field 'shape' of 'type' is required but missing")
MOST_NODES = 100_000  # operators of a network, functions written out
ONE_FILE = "onnx.save(onnx.load(path), 'one.onnx')"


@dataclass(frozen=True)
class Content:
    """What an .onnx file holds.

    Attributes:
        path: of the file.
        opset: of ONNX's own operators.
        input: name of the one input.
        shape: of the input; None for a dimension that the file leaves open.
        outputs: names, in their order.
        constants: the initialisers by name; floats in 32 bits, or in 64 where they are so in the file.
        nodes: the ``NodeProto`` of each operator, in the order of computation.
    """

    path: Path
    opset: int
    input: str
    shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    constants: dict[str, np.ndarray]
    nodes: tuple[Any, ...]


def onnx_package(name: str = "onnx") -> Any:
    """The package onnx, or a module of it. Raises InputError: it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"a detector from an .onnx file needs the package onnx ({error}): {DEPLOY}") from error


def read_file(path: Path) -> Content:
    """The content of an .onnx file.

    Raises:
        InputError: onnx is not installed, or the file is missing, damaged or no ONNX, of an opset that is not known
            here, has another number of inputs than one, or keeps its weights in other files.
    """
    model = _loaded(path)
    _refuse_external(path, model)
    _check(path, model)
    opset = _opset(path, model)
    _check_functions(path, model)
    graph = onnx_package("onnx.inliner").inline_local_functions(model).graph if model.functions else model.graph
    constants = {each.name: _initializer(path, each) for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]  # old files list their weights, too
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise InputError(f"{path} has {len(inputs)} inputs ({names}): a detector reads one; export it with one input")
    shape = tuple(each.dim_value or None for each in inputs[0].type.tensor_type.shape.dim)
    outputs = tuple(each.name for each in graph.output)
    return Content(path, opset, inputs[0].name, shape, outputs, constants, tuple(graph.node))


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The initialisers of numbers that an .onnx file's operators read, by name, in the order in which they do.

    Raises:
        InputError: see :func:`read_file`.
    """
    content = read_file(path)
    used = dict.fromkeys(name for node in content.nodes for name in node.input if name in content.constants)
    return {name: np.array(content.constants[name]) for name in used if content.constants[name].dtype.kind in "fiub"}


def array_of(tensor: Any) -> np.ndarray:
    """The values of a ``TensorProto``."""
    found: np.ndarray = onnx_package("onnx.numpy_helper").to_array(tensor)
    return found


def _initializer(path: Path, tensor: Any) -> np.ndarray:
    try:
        return plain(array_of(tensor))
    except (ValueError, TypeError, KeyError) as error:  # too few bytes, or of a type that there is not
        raise _unreadable(path, f"{tensor.name}: {error}") from error


def plain(array: np.ndarray) -> np.ndarray:
    """Floats of fewer than 32 bits in 32, in which everything is computed here."""
    short = (
        array.dtype.kind not in "fiub" or array.dtype == np.float16
    )  # bfloat16 and shorter are of no kind of numpy's
    return array.astype(np.float32) if short and array.dtype.kind not in "OSU" else array


def _loaded(path: Path) -> Any:
    onnx = onnx_package()
    if not readable(path).is_file():
        raise InputError(f"there is no .onnx file {path}: check the path that the plug-in gives")
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's own errors
        raise _unreadable(path, error) from error
    if not model.graph.node or not model.opset_import:
        raise _unreadable(path, "it holds no graph")
    return model


def _check_functions(path: Path, model: Any) -> None:
    """Refuse functions of functions that become far more operators than any network has, before they do."""
    functions = {(each.domain, each.name): each for each in model.functions}

    @cache
    def size(domain: str, name: str) -> int:
        found = functions.get((domain, name))
        return 1 if found is None else sum(size(node.domain, node.op_type) for node in found.node)

    try:
        whole = sum(size(node.domain, node.op_type) for node in model.graph.node)
    except RecursionError as error:
        raise _unreadable(path, "its functions call each other without end") from error
    if whole > MOST_NODES:
        raise _unreadable(path, f"its functions make {whole:,} operators, of at most {MOST_NODES:,}")


def _unreadable(path: Path, why: object) -> InputError:
    said = " ".join(str(why).split())[:160] or type(why).__name__
    return InputError(f"{path} is no readable ONNX file ({said}): copy or export it again")


def _refuse_external(path: Path, model: Any) -> None:
    """One file is one network: its hash tells when it changes, and no path in it is followed."""
    helper = onnx_package("onnx.external_data_helper")
    outside = [each.name for each in helper._get_all_tensors(model) if helper.uses_external_data(each)]
    if outside:
        raise InputError(
            f"{path} keeps {len(outside)} weights in other files ({outside[0]}): put all into one, with "
            f"torch.onnx.export(..., external_data=False) or {ONE_FILE}"
        )


def _check(path: Path, model: Any) -> None:
    checker = onnx_package("onnx.checker")
    try:
        checker.check_model(model)
    except Exception as error:  # of onnx's own kinds
        if any(text in str(error) for text in _HARMLESS):
            return
        raise _unreadable(path, error) from error


def _opset(path: Path, model: Any) -> int:
    found = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if found not in OPSETS:
        raise InputError(
            f"{path} is of opset {found}: {OPSETS[0]} to {OPSETS[-1]} are read; export it again with "
            "opset_version=18, or convert it with onnx.version_converter.convert_version"
        )
    return int(found)
