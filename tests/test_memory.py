"""What is free: of the machine, and of the control groups that a container puts around a process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfcore import memory
from sfcore.memory import free_memory

GB = 10**9
CPU = torch.device("cpu")


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up Linux with 16 GB free and no limited group."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {16 * GB // 1024} kB\n")
    (tmp_path / "cgroup").write_text("12:cpu,cpuacct:/\n4:memory:/jobs/mine\n0::/user/mine\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "OWN_GROUPS", tmp_path / "cgroup")
    roots = {"": tmp_path / "two", "memory": tmp_path / "one"}
    groups = {name: (roots[name], *rest) for name, (_, *rest) in memory.GROUPS.items()}
    monkeypatch.setattr(memory, "GROUPS", groups)
    return tmp_path


def limit(group: Path, most: str, used: int, giving_way: int, *, version: int) -> None:
    """What Linux says of a group."""
    group.mkdir(parents=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (most, used), strict=True):
        (group / name).write_text(f"{value}\n")
    pages = "inactive_file" if version == 2 else "total_inactive_file"
    (group / "memory.stat").write_text(f"anon 5\n{pages} {giving_way}\n")


def test_without_a_group_all_that_the_machine_has_is_free(linux: Path):
    assert free_memory(CPU) == 16 * GB // 1024 * 1024
    (linux / "cgroup").unlink()
    assert free_memory(CPU) == 16 * GB // 1024 * 1024


@pytest.mark.parametrize(("version", "root", "own"), [(1, "one", "jobs/mine"), (2, "two", "user/mine")])
def test_a_limited_group_leaves_its_limit_less_what_cannot_give_way(linux: Path, version: int, root: str, own: str):
    limit(linux / root / own, str(6 * GB), 5 * GB, 3 * GB, version=version)
    assert free_memory(CPU) == 4 * GB


def test_the_tightest_of_the_groups_above_counts(linux: Path):
    limit(linux / "two" / "user" / "mine", "max", 5 * GB, 0, version=2)
    limit(linux / "two" / "user" / "other", str(GB // 2), 0, 0, version=2)
    limit(linux / "one" / "jobs", str(7 * GB), 2 * GB, 0, version=1)
    assert free_memory(CPU) == 5 * GB
    limit(linux / "one" / "jobs" / "mine", str(3 * GB), 2 * GB, 0, version=1)
    assert free_memory(CPU) == GB


def test_a_container_that_sees_its_group_as_the_root_is_limited(linux: Path):
    limit(linux / "two", str(2 * GB), GB, 0, version=2)
    assert free_memory(CPU) == GB


def test_an_exhausted_group_leaves_nothing(linux: Path):
    limit(linux / "two", str(2 * GB), 3 * GB, 0, version=2)
    assert free_memory(CPU) == 0
