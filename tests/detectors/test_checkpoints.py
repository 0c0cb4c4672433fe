"""A checkpoint of another detector is told apart by its keys, and the message says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfcore.detectors.registry import create, entry, fits
from sfcore.errors import InputError


@pytest.fixture(scope="module")
def of_lstr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "epoch_9.pth"
    state = entry("lstr-r18s").build().state_dict()
    torch.save({"epoch": 9, "state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    return path


def test_the_message_names_the_detector_that_the_file_fits(of_lstr: Path):
    with pytest.raises(InputError, match=r"epoch_9\.pth is no checkpoint of this detector .*; it fits lstr-r18s$"):
        create("ganet-tiny", of_lstr)


def test_a_file_that_fits_nothing_gets_no_such_advice(tmp_path: Path):
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "odd.pth")
    assert fits(tmp_path / "odd.pth") == []
    with pytest.raises(InputError, match=r"choose the one it was trained as$"):
        create("ganet-tiny", tmp_path / "odd.pth")


def test_a_file_that_cannot_be_read_is_told_once(tmp_path: Path):
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(InputError, match=r"no readable safetensors file .* again$"):
        create("ganet-tiny", tmp_path / "cut.safetensors")
