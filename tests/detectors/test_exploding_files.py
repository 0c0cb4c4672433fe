"""Small files that would take memory or time without end are refused before they do."""

from __future__ import annotations

import json
import struct
import zipfile
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from sfcore.detectors import serialization
from sfcore.detectors.checkpoints import read_checkpoint
from sfcore.detectors.onnx_network.file import read_file
from sfcore.detectors.serialization import read_content, read_metadata
from sfcore.errors import InputError

WEIGHTS = {"a.weight": torch.arange(4.0)}


def members(path: Path, names: list[str], content: bytes = b"") -> Path:
    """The weights with members beside them."""
    torch.save(WEIGHTS, path)
    with zipfile.ZipFile(path, "a") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def test_an_archive_of_countless_members_is_refused_by_its_list_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = members(tmp_path / "many.pt", [f"archive/data/{number:0100}" for number in range(70_000)])  # of zip64

    def never(*_: object) -> None:
        raise AssertionError("the list was read")

    monkeypatch.setattr(serialization.zipfile, "ZipFile", never)
    with pytest.raises(InputError, match=r"its list of members takes 1\d MB"):
        read_content(path)


def test_members_that_lead_elsewhere_write_nothing(tmp_path: Path) -> None:
    path = members(tmp_path / "nested.pt", ["../../evil", "/evil"])
    with pytest.raises(InputError, match="cannot be read as plain weights"):
        read_content(path)
    assert [file.name for file in tmp_path.iterdir()] == ["nested.pt"]


def test_a_size_that_no_archive_has_is_refused(tmp_path: Path) -> None:
    content = bytearray(members(tmp_path / "declared.pt", []).read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\1\2") + 24, 0xFFFFFFF0)
    (tmp_path / "declared.pt").write_bytes(content)
    with pytest.raises(InputError, match="unpacked it would take 4295 MB"):
        read_content(tmp_path / "declared.pt")


def test_lists_that_hold_each_other_many_times_are_refused(tmp_path: Path) -> None:
    level: list[object] = [0] * 1000
    for _ in range(4):
        level = [level] * 1000  # of 10¹⁵ things in a file of a few kilobytes
    torch.save(level, tmp_path / "laughs.pt")
    with pytest.raises(InputError, match="holds more than 1,000,000 things in lists"):
        read_checkpoint(tmp_path / "laughs.pt")


def test_a_header_of_countless_tensors_is_refused(tmp_path: Path) -> None:
    header = json.dumps({f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(200_000)})
    (tmp_path / "many.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    for read in (read_content, read_metadata):
        with pytest.raises(InputError, match=r"no readable safetensors file .*header too large: 13 MB"):
            read(tmp_path / "many.safetensors")


def functions(levels: int, fan: int) -> onnx.ModelProto:
    """A network of fan ** levels operators, in a few hundred bytes."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = []
    for level in range(levels):
        kind, domain = (f"f{level - 1}", "own") if level else ("Relu", "")
        names = ["a", *(f"t{n}" for n in range(fan - 1)), "b"]
        nodes = [helper.make_node(kind, [x], [y], domain=domain) for x, y in pairwise(names)]
        made.append(helper.make_function("own", f"f{level}", ["a"], ["b"], nodes, opsets))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    whole = helper.make_node(f"f{levels - 1}", ["x"], ["y"], domain="own")
    graph = helper.make_graph([whole], "network", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=opsets, functions=made)


def test_functions_that_become_countless_operators_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "functions.onnx"
    onnx.save(functions(3, 10), path)
    assert len(read_file(path).nodes) == 1000
    onnx.save(functions(12, 10), path)
    with pytest.raises(InputError, match="its functions make 1,000,000,000,000 operators, of at most 100,000"):
        read_file(path)
