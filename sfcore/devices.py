"""Which device to compute on, and how much memory it has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

from sfcore.errors import InputError

DEVICES = ("auto", "cpu", "cuda")
MEMINFO, OWN_GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup")
# Control groups, which containers are, version 2 and 1, by the name that Linux has for the controller: the folder, and
# the files with the limit, with what is used, and what in memory.stat are pages of files that give way.
GROUPS = {
    "": (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    "memory": (
        Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
    ),
}  # fmt: skip


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; "auto" is CUDA where there is one.

    Raises:
        InputError: it is unknown, or CUDA is asked for where there is none.
    """
    if name not in DEVICES:
        raise InputError(f"there is no device {name!r}: choose one of {', '.join(DEVICES)}")
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise InputError("device 'cuda' was asked for, but no CUDA device is found: choose cpu or auto")
    return torch.device("cuda" if cuda and name != "cpu" else "cpu")


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still use on a device: on the CPU, of the machine and of its control groups."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return max(min([free, *_left_to_groups()]), 0)


def _left_to_groups() -> Iterator[int]:
    """What is left to each limited group that this process is in: its own, and those above it."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, own = line.split(":", 2)
        for controller in {*controllers.split(",")} & {*GROUPS}:
            root, most, used, giving_way = GROUPS[controller]
            # Within a container its group may be the root, and its path one that exists only outside.
            path = root / own.lstrip("/")
            for group in (path, *(above for above in path.parents if above.is_relative_to(root))):
                try:
                    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                    limit, now = (int((group / name).read_text()) for name in (most, used))
                    yield limit - now + int(stat[giving_way])
                except (OSError, KeyError, ValueError):  # not there, or "max": no limit
                    continue
