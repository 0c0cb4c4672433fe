"""Files of weights as training scripts leave them: what is beside the tensors does no harm and no good."""

from __future__ import annotations

import argparse
import datetime
import os
import pickle
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from safetensors.torch import save_file

from sfcore.detectors.serialization import StandIn, read_content, read_metadata
from sfcore.errors import InputError
from tests.detectors.onnx_files import numbers, saved

WEIGHTS = {"a.weight": torch.arange(4.0)}


class Phase(Enum):
    LAST = 1


class Config(dict):  # type: ignore[type-arg]
    """As configuration libraries have it: a dictionary with attributes of its own."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(**entries)
        self.frozen = True


BESIDE: dict[str, Any] = {
    "numpy scalar": np.float64(0.9),
    "numpy array": np.arange(3),
    "array of objects": np.array(["a"], object),
    "arguments": argparse.Namespace(rate=0.1, out=Path("runs"), when=datetime.datetime(2026, 1, 1)),
    "enumeration": Phase.LAST,
    "configuration": Config(rate=0.1),
    "dictionary with a default": defaultdict(list, {"loss": [1.0]}),
    "queue": deque([1.0, 2.0]),
    "counter": Counter("abc"),
    "optimizer": torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))]),
    "class": torch.optim.SGD,
    "type": torch.float16,
    "state of a generator": np.random.default_rng(0).bit_generator.state,
}


def same(found: Any) -> bool:
    return set(found) == set(WEIGHTS) and all(torch.equal(found[key], value) for key, value in WEIGHTS.items())


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_what_lies_beside_the_weights_does_not_keep_them_from_being_read(beside: Any, legacy: bool, tmp_path: Path):
    path = tmp_path / "last.pth"
    content = {"beside": beside, "state_dict": WEIGHTS, "again": beside}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert same(read_content(path)["state_dict"])


def test_foreign_objects_are_stand_ins_and_their_classes_are_not_allowed_afterwards(tmp_path: Path):
    before = torch.serialization.get_safe_globals()
    torch.save({"namespace": argparse.Namespace(rate=0.1)}, tmp_path / "last.pth")
    found = read_content(tmp_path / "last.pth")["namespace"]
    assert isinstance(found, StandIn) and not vars(found)
    assert f"{type(found).__module__}.{type(found).__name__}" == "argparse.Namespace"
    assert torch.serialization.get_safe_globals() == before


class Calls:
    """Unpickling this would call a function."""

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


def leave(path: str) -> None:
    Path(path).touch()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("function", "refused"),
    [(leave, False), (open, False), (exec, True), (eval, True), (print, True), (Path.touch, True), (os.mkdir, True)],
)
def test_no_function_is_ever_called(function: Any, refused: bool, legacy: bool, tmp_path: Path):
    mark, path = tmp_path / "left", tmp_path / "last.pth"
    given = {exec: (f"open({str(mark)!r}, 'w')",), open: (str(mark), "w"), Path.touch: (mark,)}.get(function)
    content = {"x": Calls(function, *(given or (str(mark),))), **WEIGHTS}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    if refused:
        with pytest.raises(InputError, match=r"GLOBAL .*holds code, which is never run"):
            read_content(path)
    else:
        assert isinstance(read_content(path)["x"], StandIn)
    assert not mark.exists()


@pytest.mark.parametrize("length", [0, 128 * 2**8])
def test_the_content_says_what_kind_a_file_is_and_not_its_name(length: int, tmp_path: Path):
    save_file(WEIGHTS, tmp_path / "a.pth", {"score": "1" * length} if length else None)
    torch.save(WEIGHTS, tmp_path / "b.safetensors")
    assert same(read_content(tmp_path / "a.pth")) and same(read_content(tmp_path / "b.safetensors"))
    assert read_metadata(tmp_path / "a.pth").keys() == ({"score"} if length else set())
    assert read_metadata(tmp_path / "b.safetensors") == {}


def test_a_header_may_be_as_long_as_the_first_byte_of_a_pickle_says(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    for padding in range(0, 256, 8):
        save_file(WEIGHTS, path, {"note": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert same(read_content(path))


def halved(save: Callable[[Path], object]) -> Callable[[Path], object]:
    def cut(path: Path) -> None:
        save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return cut


def test_a_network_in_onnx_gives_the_weights_that_it_uses_in_the_order_of_use(tmp_path: Path):
    convs = [helper.make_node("Conv", [x, f"{y}.weight"], [y]) for x, y in (("x", "b"), ("b", "y"))]
    weights = {name: numbers(4, 4, 1, 1) * place for place, name in enumerate(("unused", "y.weight", "b.weight"))}
    found = read_content(saved(tmp_path / "network.onnx", convs, weights))
    assert list(found) == ["b.weight", "y.weight"]
    np.testing.assert_array_equal(found["b.weight"], weights["b.weight"])


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (Path.touch, "it is empty"),
    "a page of a server": (lambda path: path.write_text("<html>404</html>"), "begins like no file of weights"),
    "half an archive": (halved(lambda path: torch.save(WEIGHTS, path)), "zip archive"),
    "half a legacy file": (
        halved(lambda path: torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)),
        r"cannot be read",
    ),
    "half a safetensors file": (halved(lambda path: save_file(WEIGHTS, path)), "no readable safetensors file"),
    "TorchScript": (lambda path: torch.jit.script(torch.nn.ReLU()).save(path), "TorchScript"),
    "another protocol": (lambda path: torch.save(WEIGHTS, path, pickle_protocol=4), "protocol 2"),
    "arrays": (lambda path: path.write_bytes(pickle.dumps({"a": np.ones(2)})), "protocol 2"),
}


@pytest.mark.parametrize("case", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_file_of_weights_is_refused_in_one_line(case: tuple[Callable[[Path], object], str], tmp_path: Path):
    write, said = case
    path = tmp_path / "last.pth"
    write(path)
    with pytest.raises(InputError, match=said) as told:
        read_content(path)
    assert "\n" not in str(told.value) and "\x1b" not in str(told.value) and str(path) in str(told.value)
