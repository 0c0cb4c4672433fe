"""Memory: what this process has taken, what is left to it, and how its allocator makes tuning on the CPU faster."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # names of glibc's mallopt(3)
_NEVER = 2**31 - 1
_GLIBC = "libc.so.6"
MEMINFO, OWN_GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup")
# Control groups, which containers are, version 2 and 1, by the name that Linux has for the controller: the folder, and
# the files with the limit, with what is used, and what in memory.stat are pages of files that give way.
GROUPS = {
    "": (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    "memory": (
        Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
    ),
}  # fmt: skip


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, rather than return it to the system and ask again.

    A step of tuning allocates and frees the same large activations again and again; by default glibc maps each
    anew, and the system clears every page of it. Does nothing where there is no glibc.

    Returns:
        whether the setting was made.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(_GLIBC).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def peak() -> int:
    """Bytes that this process has taken at most: of the GPU where it uses one, else of the machine."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    try:
        return said(Path("/proc/self/status"), "VmHWM")
    except (OSError, KeyError, ValueError):  # no Linux; elsewhere the parent's memory counts too
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still use on a device: on the CPU, of the machine and of its control groups.

    What it has freed and kept counts, for it is given back first.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(_GLIBC).malloc_trim(0)
    try:
        free = said(MEMINFO, "MemAvailable")
    except (OSError, KeyError, ValueError):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return max(min([free, *_left_to_groups()]), 0)


def said(file: Path, name: str) -> int:
    """Bytes of an entry, in kB, of a file in /proc. Raises OSError, KeyError or ValueError: there is no such entry."""
    lines = dict(line.split(":", 1) for line in file.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


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
