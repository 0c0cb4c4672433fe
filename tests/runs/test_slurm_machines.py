"""Runs and a bench on a real Slurm of two machines, one of which goes away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sfcore.cli import main
from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, create_or_resume, is_alive, launch, stop
from tests.runs.slurm_machines import SlurmMachines, missing, slurm_machines

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"no {', '.join(missing())} here: apt-get install slurm-wlm munge"),
]
IMAGES = str(sample_data() / "scenes") + "[:4]"


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmMachines]:
    with slurm_machines("first", "second") as machines, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("OMP_NUM_THREADS", "1")
        for name, value in machines.environment.items():
            patch.setenv(name, value)
        yield machines


def until(true: Callable[[], Any], run: RunFolder, seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, (run.record(), *(file.read_text() for file in run.path.rglob("*.err")))
        time.sleep(0.2)


def steps(run: RunFolder) -> list[int]:
    return [event["iteration"] for event in run.events()[0] if event["type"] == "step"]


def begun(path: Path, iterations: int) -> RunFolder:
    """A run that steps on Slurm."""
    options = {"iterations": iterations, "batch": 1}
    run = create_or_resume(path, RunSpec("lstr-tiny", (IMAGES,), "W4A4", "netwise", options=options, device="cpu"))
    launch(run, "slurm")
    until(lambda: steps(run), run)
    return run


def test_tables_of_a_bench_are_those_of_this_machine(slurm: SlurmMachines, tmp_path: Path) -> None:
    command = ["bench", "--detectors", "lstr-tiny", "--bits", "W4A4", "--methods", "calibrate", "netwise"]
    command += ["--iterations", "8", "--seeds", "0", "--images", IMAGES, "--test", IMAGES, "--device", "cpu", "--out"]
    assert main([*command, str(tmp_path / "here")]) == 0
    assert main([*command, str(tmp_path / "slurm"), "--launcher", "slurm", "--workers", "2"]) == 0
    here, there = tmp_path / "here", tmp_path / "slurm"
    judged = [path.relative_to(here) for path in (here / "tables").glob("table[12]*.csv")]
    models = [path.relative_to(here) for path in here.glob("runs/*/model.safetensors")]
    assert len(judged) >= 2 and len(models) == 2
    assert all((there / path).read_bytes() == (here / path).read_bytes() for path in (*judged, *models))
    assert {str(RunFolder(path.parent).record()["node"]) for path in there.glob("runs/*/lock")} <= set(slurm.daemons)


def test_a_run_whose_job_is_cancelled_has_stopped_and_says_so_when_it_goes_on(
    slurm: SlurmMachines, tmp_path: Path
) -> None:
    run = begun(tmp_path / "run", 4000)
    node = run.record()["node"]
    assert run.status == "running" and node in slurm.daemons
    slurm.said("scancel", str(run.record()["job"]))
    until(lambda: not is_alive(run), run)
    assert run.status == "stopped" and steps(run)
    launch(run)
    until(lambda: run.record().get("interruptions"), run)
    (found,) = run.record()["interruptions"]
    assert found["node"] == node and "ended without a word" in found["why"]
    stop(run)
    until(lambda: run.record()["status"] == "stopped", run)
    assert steps(run) == list(range(1, len(steps(run)) + 1))


def test_a_run_whose_machine_goes_away_goes_on_on_another_and_says_so(slurm: SlurmMachines, tmp_path: Path) -> None:
    run = begun(tmp_path / "run", 100)
    node = str(run.record()["node"])
    slurm.lose(node)
    until(lambda: run.record()["status"] == "done", run)
    assert run.record()["node"] != node and [each["node"] for each in run.record()["interruptions"]] == [node]
    assert steps(run) == list(range(1, 101))
