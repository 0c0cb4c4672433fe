"""Element maps measured in the background, by one process: ``python -m sfcore.sensitivity.element_map_worker``.

A folder holds a few files for each map, under a name made from all that it depends on:

    NAME.ask       what to measure: the head outputs, and as metadata the rest of the request; whoever waits for the map
                   touches it, and what nobody has touched for a while is dropped
    NAME.progress  the share that is done
    NAME.map       the map, or
    NAME.error     why there is none
    lock           held by the process that measures, which ends when nothing has been asked for a while
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.registry import create, entry
from sfcore.errors import InputError
from sfcore.files import Stamp, explained, stamp, write_atomic
from sfcore.locks import take
from sfcore.sensitivity.elements import Grain, element_map
from sfcore.tensors import read_about, read_tensors

MOST_KEPT = 200  # maps; those not looked at for longest go first
WAITED = 30.0  # seconds after the last touch for which somebody counts as waiting
LINGER = 20.0  # seconds for which the process stays when nothing is asked: it takes a few to start
TOLD = 0.25  # seconds between two reports of progress


class Dropped(Exception):
    """Nobody waits for the map any more."""


@dataclass(frozen=True)
class MapRequest:
    """One map to measure; see :func:`~sfcore.sensitivity.elements.element_map`.

    Attributes:
        detector: in the registry.
        weights: a checkpoint, or None for the shipped weights.
        outputs: full-precision outputs of one image.
        key: which weights in the checkpoint, where several fit.
    """

    detector: str
    weights: Path | None
    outputs: Outputs
    head: str
    level: float
    grain: Grain
    key: str | None = None

    @property
    def name(self) -> str:
        """The same for the same map, wherever the weights and the image lie."""
        found = hashlib.sha256(json.dumps([self.detector, self.head, self.level, asdict(self.grain)]).encode())
        for head, value in sorted(self.outputs.items()):
            found.update(f"{head}{tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes())
        return found.hexdigest()[:32]

    def write(self, path: Path) -> None:
        about = [self.detector, self.head, self.level, asdict(self.grain), str(self.weights or ""), self.key]
        # As JSON, which is ASCII: a path need not be text.
        write_atomic(path, save({k: v.contiguous() for k, v in self.outputs.items()}, {"about": json.dumps(about)}))

    @classmethod
    def read(cls, path: Path) -> MapRequest:
        detector, head, level, grain, weights, key = json.loads(read_about(path)["about"])
        return cls(detector, Path(weights) if weights else None, read_tensors(path), head, level, Grain(**grain), key)


def ask(folder: Path, request: MapRequest) -> Tensor | float:
    """The map if it has been measured, else the share that is done; call it again and again until it is there.

    Raises:
        InputError: it cannot be measured, or the folder cannot be written.
    """
    name = request.name
    found, asked, failed = (folder / f"{name}.{kind}" for kind in ("map", "ask", "error"))
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            os.utime(found)
            return read_tensors(found)["map"]
        with suppress(FileNotFoundError):
            reason = failed.read_text(encoding="utf-8")
            failed.unlink()
            raise InputError(reason)
        with suppress(FileNotFoundError):
            os.utime(asked)
            _start_worker(folder)
            return _progress(folder / f"{name}.progress")
    request.write(asked)
    _start_worker(folder)
    return 0.0


def _progress(path: Path) -> float:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _start_worker(folder: Path) -> None:
    """Start the process that measures, unless there is one.

    The lock is taken here and handed to it: its descriptor stays open there for as long as the process lives.
    """
    with (folder / "lock").open("w") as lock:
        if not take(lock.fileno()):
            return
        quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-m", "sfcore.sensitivity.element_map_worker", str(folder.resolve())]
        subprocess.Popen(command, **quiet, pass_fds=[lock.fileno()], start_new_session=True)


def serve(folder: Path, linger: float = LINGER) -> None:
    """Measure what is asked for, one map after the other, until nothing has been asked for ``linger`` seconds."""
    end = time.monotonic() + linger
    while time.monotonic() < end:
        asked = next(_waited_for(folder), None)
        if asked is None:
            time.sleep(0.1)
            continue
        _answer(asked)
        _prune(folder)
        end = time.monotonic() + linger


def _waited_for(folder: Path) -> Iterator[Path]:
    """What somebody waits for; the rest is dropped."""
    for asked in folder.glob("*.ask"):
        if _is_waited_for(asked):
            yield asked
        else:
            asked.unlink(missing_ok=True)


def _is_waited_for(asked: Path) -> bool:
    try:
        return abs(time.time() - asked.stat().st_mtime) < WAITED  # the clock may have been set back meanwhile
    except FileNotFoundError:
        return False


def _answer(asked: Path) -> None:
    """Measure one map, or say why it cannot be."""
    progress = asked.with_suffix(".progress")
    try:
        if not asked.with_suffix(".map").exists():
            write_atomic(asked.with_suffix(".map"), save({"map": _measured(asked, progress)}))
    except Dropped:
        pass
    except Exception as error:  # a detector from outside can fail in any way, and the others still want their maps
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        write_atomic(asked.with_suffix(".error"), f"the element map cannot be measured: {reason}".encode())
    for file in (asked, progress):
        file.unlink(missing_ok=True)


def _measured(asked: Path, progress: Path) -> Tensor:
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told < TOLD:
            return
        told = time.monotonic()
        if not _is_waited_for(asked):
            raise Dropped
        write_atomic(progress, f"{done / total:.3f}".encode())

    request = MapRequest.read(asked)
    file = request.weights or entry(request.detector).shipped
    written = stamp(file) if file and file.is_file() else None
    detector = _detector(request.detector, request.weights, request.key, written)
    return element_map(
        detector, request.outputs, request.head, request.level, progress=tell, batch=128, grain=request.grain
    )


@lru_cache(maxsize=1)
def _detector(name: str, weights: Path | None, key: str | None, written: Stamp | None) -> Detector:
    return create(name, weights, key=key)


def _prune(folder: Path) -> None:
    """Remove the maps that were not looked at for longest."""
    maps = sorted(folder.glob("*.map"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in maps[MOST_KEPT:]:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    os.nice(5)  # whoever looks at a page goes first
    torch.set_num_threads(1)  # tensors this small are done before a second thread has begun
    serve(Path(sys.argv[1]))
