"""Reading files of weights, safetensors or torch's, without running anything of what is in them."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any

import torch
from safetensors import SafetensorError

from sfcore.detectors.onnx_network.file import read_weights
from sfcore.errors import InputError
from sfcore.roots import readable
from sfcore.tensors import read_about, read_tensors

EXPORT = "Export it with safetensors.torch.save_file(model.state_dict(), ...)"
MOST_GROWTH = 4  # times a file that what is in it may take: weights do not compress well
MOST_LISTED = 4_000_000  # bytes of the list of an archive's members: about 50,000, which take seconds to read
_TAIL = 1 << 17  # bytes at the end of an archive in which its last records stand
MOST_NAMES = 500  # foreign ones in a file, which is read once more for each
_lock = Lock()  # torch keeps the names that it accepts for the whole process
_UNKNOWN = re.compile(r"GLOBAL (\S+) was not an allowed global")
_FILLED = re.compile(r"Can only (SETITEMS?|append|extend) .* but got <class '(.+)'>")
# Modules that no checkpoint needs, but for some classes of builtins: refused at once, though nothing would be run.
_RUNNERS = {"builtins", "subprocess", "shutil", "importlib", "runpy", "ctypes", "socket", "pty", "code"}
_KINDS = {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "range", "slice", "str", "tuple"}


class StandIn:
    """What stands for an object of a class that is not torch's: it takes whatever the file says, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def read_content(path: Path) -> Any:
    """What a file of weights holds: a dictionary of tensors, or whatever a training script has put around them.

    What kind of file it is is told by its content. Objects of foreign classes are a :class:`StandIn` each.

    Raises:
        InputError: the file is missing, empty or damaged, or it holds code.
    """
    if not readable(path).is_file():
        raise InputError(f"there is no checkpoint {path}: check the path")
    if path.suffix == ".onnx":
        return {name: torch.from_numpy(values) for name, values in read_weights(path).items()}
    try:
        return read_tensors(path) if _is_safetensors(path) else _unpickled(path)
    except SafetensorError as error:
        raise InputError(
            f"{path} is no readable safetensors file ({_short(error)}): copy or export it again"
        ) from error
    except Exception as error:  # torch.load raises many types; all mean that the file cannot be used
        raise InputError(
            f"{path} cannot be read as plain weights ({_short(error)}): it is damaged or holds code, which is "
            f"never run. {EXPORT}"
        ) from error


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says about its weights: score, seed, input size; empty where it says nothing.

    Raises:
        InputError: the file is missing or damaged.
    """
    readable(path)
    try:
        if not _is_safetensors(path):
            return {}
        return read_about(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} is no readable safetensors file ({_short(error)}): check the path") from error


def _is_safetensors(path: Path) -> bool:
    """By the first bytes, or by the name where they say nothing. Raises ValueError: they are of no file of weights."""
    with path.open("rb") as file:
        first = file.read(9)
    if not first:
        raise ValueError("it is empty")
    if first[8:] == b"{":  # after the length of the header, any eight bytes
        return True
    if first.startswith((b"PK\3\4", b"\x80")):  # a zip archive, or a pickle as before torch 1.6
        return False
    if path.suffix != ".safetensors":
        raise ValueError("it begins like no file of weights")
    return True


def _unpickled(path: Path) -> Any:
    """A file of torch's, by its reader that runs nothing but what rebuilds tensors.

    That reader asks for every other name to be allowed. It gets a class of ours under each, which can do nothing.
    """
    _check_inflated(path)
    allowed: dict[str, type[StandIn]] = {}
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about old formats
        while True:
            try:
                with path.open("rb") as file, torch.serialization.safe_globals([*allowed.values()]):
                    return torch.load(file, map_location="cpu", weights_only=True)
            except Exception as error:
                if not _allow(allowed, str(error)):
                    raise


def _check_inflated(path: Path) -> None:
    """Refuse an archive that grows when it is read: torch.save does not compress. Raises ValueError: it would, or its
    list of members, which readers take whole, is longer than that of any weights."""
    if zipfile.is_zipfile(path):
        if (listed := _listed(path)) > MOST_LISTED:
            raise ValueError(f"its list of members takes {listed / 1e6:.0f} MB")
        with zipfile.ZipFile(path) as archive:
            inflated = sum(each.file_size for each in archive.infolist())
        if inflated > MOST_GROWTH * path.stat().st_size:
            raise ValueError(f"unpacked it would take {inflated / 1e6:.0f} MB")


def _listed(path: Path) -> int:
    """Bytes of an archive's list of members, as the records at its end say: the long one stands before the short."""
    with path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
        tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if tail[max(end - 20, 0) : end].startswith(b"PK\6\7") and end >= 76:
        return int.from_bytes(tail[end - 36 : end - 28], "little")
    return int.from_bytes(tail[end + 12 : end + 16], "little")


def _allow(allowed: dict[str, type[StandIn]], problem: str) -> bool:
    """Add or exchange the stand-in that a problem is about; False where it is about something else."""
    if found := _UNKNOWN.search(problem):
        name = found[1] if "." in found[1] else f"builtins.{found[1]}"
        if name in allowed or _runs_code(name) or len(allowed) == MOST_NAMES:
            return False
        allowed[name] = _stand_in(name)
    elif (found := _FILLED.search(problem)) and found[2] in allowed:
        held = OrderedDict if found[1].startswith("SETITEM") else list
        if "__new__" in vars(allowed[found[2]]):
            return False
        allowed[found[2]] = _stand_in(found[2], lambda *_, **__: held())
    else:
        return False
    return True


def _stand_in(name: str, new: Callable[..., Any] | None = None) -> type[StandIn]:
    """A class that torch takes for the one of a dotted name; ``new`` makes its objects where they are filled."""
    module, _, own = name.rpartition(".")
    found: type[StandIn] = type(own, (StandIn,), {"__module__": module, **({"__new__": new} if new else {})})
    return found


def _runs_code(name: str) -> bool:
    module, _, own = name.partition(".")
    return module in _RUNNERS and not (module == "builtins" and own in _KINDS)


def _short(error: Exception) -> str:
    """The first sentence of an error; torch's advice to load what it has refused is not for a message."""
    own = error.__context__ if isinstance(error, UnpicklingError) else None
    text = str(own or error).strip() or type(error).__name__
    if "Unsupported operand" in text:
        return "it was not saved with pickle protocol 2, which torch.save takes by itself"
    return text.splitlines()[0].split(". ")[0][:160]
