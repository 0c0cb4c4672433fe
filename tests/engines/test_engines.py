"""Engines: all with the same face, and the same heads as the simulation."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sfcore.engines.base import ENGINES
from sfcore.errors import InputError
from sfcore.export.files import export
from tests.export.conftest import departure, simulated, small_images, small_subject

SCHEME = "W4A8-adds-portable"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("engines")
    export(small_subject(SCHEME), ["onnx", "openvino"], made)
    return made


@pytest.mark.parametrize(
    ("engine", "file"), [("onnxruntime", "model.onnx"), ("openvino", "model.onnx"), ("openvino", "model.xml")]
)
@pytest.mark.parametrize("threads", [0, 1])
def test_an_engine_computes_what_the_simulation_does(engine: str, file: str, threads: int, folder: Path) -> None:
    session = ENGINES[engine](folder / file, threads)
    expected = simulated(small_subject(SCHEME).needs_quantized(), small_images())
    for _ in range(2):
        found = session(small_images().numpy())
        assert departure(dict(zip(expected, found, strict=True)), expected) < 2e-2
        assert {each.dtype for each in found} == {np.dtype("float32")}


@pytest.mark.parametrize("engine", ENGINES.names())
def test_what_an_engine_computed_stays(engine: str, folder: Path) -> None:
    session = ENGINES[engine](folder / "model.onnx", 1)
    first = session(small_images().numpy())
    before = [value.copy() for value in first]
    session(-small_images().numpy())
    assert all(map(np.array_equal, first, before))


@pytest.mark.parametrize("engine", ENGINES.names())
def test_an_engine_says_what_it_cannot_run(engine: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=rf"{engine} cannot run model\.onnx \(.+\): choose another engine"):
        ENGINES[engine](path, 1)
    with pytest.raises(InputError, match=rf"{engine} cannot run model\.onnx"):
        ENGINES[engine](folder / "model.onnx", 1)(small_images().numpy()[:, :1])


@pytest.mark.parametrize("engine", ENGINES.names())
def test_a_missing_file_is_said(engine: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.onnx"):
        ENGINES[engine](tmp_path / "none.onnx", 1)


@pytest.mark.parametrize("engine", ENGINES.names())
def test_a_missing_package_is_named(engine: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(InputError, match=rf"{engine} needs the package {engine}, .*studio\[deploy\]"):
        ENGINES[engine](folder / "model.onnx", 1)
