"""Reading safetensors files, under whatever name the disk holds."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load, load_file
from torch import Tensor

_LENGTH = 8  # bytes at the beginning that tell how many the header has


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises SafetensorError or OSError: it is damaged, or cannot be read."""
    return load_file(path) if _is_text(path) else load(path.read_bytes())


def read_about(path: Path) -> dict[str, str]:
    """What a file says about its tensors; raises as :func:`read_tensors`, or ValueError."""
    if _is_text(path):
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    with path.open("rb") as raw:
        header = json.loads(raw.read(int.from_bytes(raw.read(_LENGTH), "little")))
    return dict(header.get("__metadata__") or {})


def _is_text(path: Path) -> bool:
    """Whether a path is UTF-8: the library takes no other, though disks do."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
