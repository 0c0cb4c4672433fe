"""Where the activations that tuning needs again and again are kept: in memory, on disk, or nowhere."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from sfcore.devices import sent
from sfcore.errors import InputError
from sfcore.files import explained
from sfcore.memory import free_memory

MEMORY = "SFCORE_MEMORY"  # environment variable: GB that cached activations may take
Place = Literal["memory", "disk", "recomputed"]
Record = Callable[[int], list[Tensor]]
_SAID: dict[Place, str] = {
    "memory": "caching in memory",
    "disk": "caching on disk",
    "recomputed": "recomputing them at each step",
}


@dataclass(frozen=True)
class Plan:
    """How much cached activations take, and where they go.

    Attributes:
        needed: bytes at most at a time.
        budget: bytes that they may take in memory.
        place: where so many go.
    """

    needed: int
    budget: int
    place: Place

    def __str__(self) -> str:
        needed, budget = (f"{size / 1e9:.1f} GB" for size in (self.needed, self.budget))
        return f"activations need {needed}, {budget} of memory are theirs: {_SAID[self.place]}"


def plan(needed: int, budget: int) -> Plan:
    """In memory within the budget; beyond it in the folder of temporary files; where that is full, nowhere."""
    if needed <= budget:
        return Plan(needed, budget, "memory")
    room = shutil.disk_usage(tempfile.gettempdir()).free
    return Plan(needed, budget, "disk" if 1.1 * needed < room else "recomputed")


def memory_budget(device: torch.device) -> int:
    """Bytes that cached activations may take: $SFCORE_MEMORY gigabytes, or a third of what is free on the device.

    Raises:
        InputError: the variable is set to something that is no number greater than 0.
    """
    said = os.environ.get(MEMORY)
    if said is None:
        return free_memory(device) // 3
    try:
        gigabytes = float(said)
    except ValueError:
        gigabytes = -1.0
    if not gigabytes > 0:
        raise InputError(f"{MEMORY} = {said!r}: set it to the gigabytes that caches may take, such as 2.5, or unset it")
    return int(gigabytes * 1e9)


class Table(Protocol):
    """Some tensors of every image, always of the same shapes."""

    def put(self, place: int, rows: list[Tensor]) -> None: ...

    def get(self, index: Tensor) -> list[Tensor]: ...


class InMemory:
    """Kept on the device that they are on."""

    def __init__(self, count: int, rows: list[Tensor]) -> None:
        self.tensors = [row.new_empty(count, *row.shape) for row in rows]

    def put(self, place: int, rows: list[Tensor]) -> None:
        for tensor, row in zip(self.tensors, rows, strict=True):
            tensor[place] = row

    def get(self, index: Tensor) -> list[Tensor]:
        return [tensor[sent(index, tensor.device)] for tensor in self.tensors]


class OnDisk:
    """Kept in a file without a name, which the operating system removes however this process ends.

    Raises:
        InputError: the disk is full.
    """

    def __init__(self, rows: list[Tensor]) -> None:
        self.folder = Path(tempfile.gettempdir())
        with explained(self.folder):
            self.file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        self.forms = [(row.shape, row.cpu().numpy().dtype, row.device) for row in rows]
        self.bytes = sum(row.numel() * row.element_size() for row in rows)  # of an image

    def put(self, place: int, rows: list[Tensor]) -> None:
        with explained(self.folder):
            self.file.seek(place * self.bytes)
            for row in rows:
                self.file.write(row.cpu().numpy().tobytes())

    def get(self, index: Tensor) -> list[Tensor]:
        found = [np.empty((len(index), *shape), dtype) for shape, dtype, _ in self.forms]
        for slot, place in enumerate(index.tolist()):
            self.file.seek(place * self.bytes)
            for array in found:
                array[slot] = np.frombuffer(self.file.read(array[slot].nbytes), array.dtype).reshape(array.shape[1:])
        return [sent(torch.from_numpy(array), form[2]) for array, form in zip(found, self.forms, strict=True)]


class Cache:
    """Some tensors of every image, recorded once (or, where there is no room, whenever they are asked for).

    Args:
        record: gives the tensors of an image, always of the same shapes.
        count: how many images there are.
        place: where they are kept. It does not change what is read, not in a single bit.
    """

    def __init__(self, record: Record, count: int, place: Place) -> None:
        self._record: Record | None = record
        self.count, self.place = count, place
        self.filled = count if place == "recomputed" else 0
        self._table: Table | None = None

    @property
    def ready(self) -> bool:
        return self.filled == self.count

    def fill(self, seconds: float) -> None:
        """Record images for about so long."""
        until = time.monotonic() + seconds
        while not self.ready:
            assert self._record is not None  # it is given away when all are recorded
            rows = [row.contiguous() for row in self._record(self.filled)]
            if self._table is None:
                self._table = InMemory(self.count, rows) if self.place == "memory" else OnDisk(rows)
            self._table.put(self.filled, rows)
            self.filled += 1
            if self.ready:
                self._record = None  # with the networks that it runs
            if time.monotonic() > until:
                return

    def batch(self, index: Tensor) -> list[Tensor]:
        """The tensors of some images, each stacked along a new first dimension.

        Args:
            index: (B,) of images, on the CPU.
        """
        if self._table is not None:
            return self._table.get(index)
        assert self._record is not None  # nothing is kept
        return [torch.stack(rows) for rows in zip(*map(self._record, index.tolist()), strict=True)]


def pack(tensor: Tensor, axis: int) -> Tensor:
    """A tensor of one image as a row: along the axis of images first, channels of maps last, as they lie in memory."""
    row = tensor.movedim(axis, 0)
    return (row.permute(0, 2, 3, 1) if row.ndim == 4 and axis == 0 else row).contiguous()


def unpack(rows: Tensor, axis: int) -> Tensor:
    """The batch of some rows, (B, ...), as the network would have it."""
    batch = rows.flatten(0, 1)
    return (batch.permute(0, 3, 1, 2) if batch.ndim == 4 and axis == 0 else batch).movedim(0, axis)
