"""Files of weights that are small and would take all memory are refused before they do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from sfcore.detectors.checkpoints import dictionaries, read_checkpoint
from sfcore.errors import InputError


def test_an_archive_that_grows_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    plain, bomb = tmp_path / "plain.pth", tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(1 << 22)}, plain)
    with zipfile.ZipFile(plain) as archive, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for each in archive.namelist():
            packed.writestr(each, archive.read(each))
    assert bomb.stat().st_size < plain.stat().st_size / 100
    assert read_checkpoint(plain)["a"].shape == (1 << 22,)
    with pytest.raises(InputError, match=r"unpacked it would take 17 MB"):
        read_checkpoint(bomb)


@pytest.mark.parametrize(
    "grown",
    [
        torch.zeros(1, dtype=torch.half).expand(1 << 40),
        torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (1 << 40,), check_invariants=True),
        [torch.zeros(1 << 20).expand(1 << 10, 1 << 20)] * 8,
    ],
    ids=["expanded", "sparse", "repeated"],
)
def test_tensors_larger_than_their_file_are_refused_before_they_are_made(tmp_path: Path, grown: object) -> None:
    torch.save({"a": grown}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match="save the weights themselves"):
        read_checkpoint(tmp_path / "bomb.pth")


def test_tensors_that_share_memory_are_read(tmp_path: Path) -> None:
    state = {"a": torch.ones(1 << 20)}
    torch.save({"model": state, "ema": state, "best": {"b": state["a"].view(2, -1).expand(2, -1)}}, tmp_path / "w.pth")
    assert len(dictionaries(tmp_path / "w.pth")) == 3
