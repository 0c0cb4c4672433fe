"""Runs through submitit: on processes of this machine, and by Slurm's commands, for which scripts stand here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from sfcore.errors import InputError
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, create_or_resume, launch
from sfcore.runs.launchers.slurm import Slurm

pytest.importorskip("submitit")
IMAGES = str(sample_data() / "scenes") + "[:2]"
FAST = {"weight_calibrator": "minmax", "activation_calibrator": "minmax", "bias_correction": False}


@pytest.mark.slow
def test_a_run_is_carried_out_by_submitits_executor_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    run = create_or_resume(tmp_path / "run", RunSpec("lstr-tiny", (IMAGES,), "W8A8", "calibrate", device="cpu", **FAST))
    job = launch(run, "slurm", "local")
    assert run.is_alive() and run.record()["job"] == job
    end = time.monotonic() + 200
    while run.record()["status"] != "done":
        assert time.monotonic() < end, (run.path / "worker.log").read_text()
        time.sleep(0.2)
    assert run.record()["node"] and run.record()["launcher"] == "slurm"


@pytest.mark.slow
def test_a_job_that_is_preempted_is_queued_again_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    options = {"iterations": 40, "batch": 1}
    run = create_or_resume(
        tmp_path / "run", RunSpec("lstr-tiny", (IMAGES,), "W8A8", "netwise", options=options, device="cpu", **FAST)
    )
    controller = launch(run, "slurm", "local")
    end = time.monotonic() + 300
    while not any(event["type"] == "step" for event in run.events()[0]):
        assert time.monotonic() < end, (run.path / "worker.log").read_text()
        time.sleep(0.05)
    worker = run.record()["pid"]
    (job,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(job), signal.SIGUSR2)  # what Slurm sends, by submitit's wish, before it preempts
    alive = True  # asked before the status is read, for a run that ends lets go after that
    while run.record()["status"] != "done":
        assert alive and time.monotonic() < end, (run.path / "worker.log").read_text()  # nobody else begins it
        time.sleep(0.2)
        alive = run.is_alive()
    (found,) = run.record()["interruptions"]
    assert found["why"] == f"the worker of process {worker} ended without a word" and run.record()["pid"] != worker
    events = run.events()[0]
    assert [event["iteration"] for event in events if event["type"] == "step"] == list(range(1, 41))
    assert sum(event["type"] == "done" for event in events) == 1


def test_where_there_is_no_slurm_nothing_is_launched(
    tmp_path: Path, spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = RunFolder.create(tmp_path / "run", spec)
    with pytest.raises(InputError, match="no Slurm here"):
        launch(run, "slurm")
    with pytest.raises(InputError, match="no address 'somewhere'"):
        launch(run, "slurm", "somewhere")
    assert run.record()["status"] == "queued" and "job" not in run.record()


def test_slurms_own_commands_say_what_lives_and_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, does in {"sbatch": "", "squeue": "echo 12_0; echo 13", "scancel": f'echo "$@" > {tmp_path}/said'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert Slurm().living() == {"12_0", "13"}
    Slurm().cancel(["12_0"])
    assert (tmp_path / "said").read_text() == "12_0\n"
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'no controller' >&2\nexit 1\n")
    with pytest.raises(InputError, match="no controller"):
        Slurm().living()
