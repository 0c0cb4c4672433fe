"""Files of tensors are read under any name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from sfcore.tensors import read_about, read_tensors


@pytest.mark.parametrize("name", [b"plain", "道路".encode(), "道路".encode("gbk")])
def test_a_file_is_read_whatever_its_name(tmp_path: Path, name: bytes):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(save({"a": torch.arange(3.0)}, {"note": "{}"}))
    assert read_tensors(path)["a"].tolist() == [0, 1, 2]
    assert read_about(path) == {"note": "{}"}
