"""A run on storage that is really full for some seconds: a small file system in memory of the test's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sfcore.errors import InputError
from sfcore.runs import RunFolder, RunSpec
from sfcore.runs.local_jobs import LocalJobs
from sfcore.runs.patience import patiently
from sfcore.runs.pool import WorkerPool
from sfcore.runs.spool import Errand, Spool
from sfcore.runs.worker import work
from tests.runs.fake_worker import STEPS, assemble

SCENARIO = Path(__file__).with_name("full_storage.py")
OWN = ("unshare", "--map-root-user", "--mount", "sh", "-c")  # file systems that nobody else sees


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfcore.runs.patience.FIRST", 0.01)


def may_mount(folder: Path) -> bool:
    command = [*OWN, f"mount -t tmpfs -o size=200k none {folder}"]
    return bool(shutil.which("unshare")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_a_run_waits_for_storage_that_is_full_and_says_so(tmp_path: Path, spec: RunSpec) -> None:
    if not may_mount(tmp_path):
        pytest.skip("no file systems of one's own here (unshare --map-root-user --mount)")
    script = f"mount -t tmpfs -o size=200k none {tmp_path} && exec {sys.executable} {SCENARIO} {tmp_path}"
    done = subprocess.run([*OWN, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    (broken,) = found["record"]["interruptions"]
    assert broken["why"].startswith("storage failed (No space left on device), for ") and found["code"] == 0
    assert found["record"]["status"] == "done" and found["steps"] == list(range(1, STEPS + 1))
    undisturbed = RunFolder.create(tmp_path / "undisturbed", spec)
    assert work(undisturbed, assemble=assemble) == "done"
    assert undisturbed.load_tensors("model")[0]["place"].tolist() == found["place"]


def test_a_log_that_is_full_as_well_ends_no_patience() -> None:
    failures = iter([True, True])

    def write() -> str:
        if next(failures, False):
            raise OSError(28, "No space left on device")
        return "written"

    def tell(*_: object) -> None:
        raise OSError(28, "No space left on device")

    assert patiently(write, 60.0, tell) == "written"


def test_errands_wait_for_storage_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put, failures, said = Spool.put, iter([True, True]), list[str]()

    def full(spool: Spool, number: int, errand: Errand) -> None:
        if next(failures, False):
            raise InputError("cannot write") from OSError(28, "No space left on device")
        put(spool, number, errand)

    monkeypatch.setattr(Spool, "put", full)
    pool = WorkerPool(LocalJobs(), [], Spool(tmp_path), said.append)
    pool.spool.make()
    pool.put({"start": 0})
    assert pool.spool.taken("me") and len(said) == 2
    assert said[0].startswith("storage failed (No space left on device), for ")
