"""Reading safetensors files, under whatever name the disk holds."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file
from torch import Tensor

_LENGTH = 8  # bytes at the beginning that tell how many the header has
MOST_HEADER = 10_000_000  # bytes: about 80,000 tensors, which take seconds to list


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises SafetensorError or OSError: it is damaged, or cannot be read."""
    _check_header(path)
    return load_file(path) if _is_text(path) else load(path.read_bytes())


def read_about(path: Path) -> dict[str, str]:
    """What a file says about its tensors; raises as :func:`read_tensors`, or ValueError."""
    _check_header(path)
    if _is_text(path):
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    with path.open("rb") as raw:
        header = json.loads(raw.read(int.from_bytes(raw.read(_LENGTH), "little")))
    return dict(header.get("__metadata__") or {})


def _check_header(path: Path) -> None:
    """Refuse a list of tensors that nobody needs, before it is read. Raises SafetensorError."""
    with path.open("rb") as raw:
        length = int.from_bytes(raw.read(_LENGTH), "little")
    if length > MOST_HEADER:
        raise SafetensorError(f"header too large: {length / 1e6:.0f} MB, of at most {MOST_HEADER / 1e6:.0f}")


def _is_text(path: Path) -> bool:
    """Whether a path is UTF-8: the library takes no other, though disks do."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
