"""Time and memory before a run starts: read off the events of another run, or of a trial."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sfcore.resources import sample_data
from sfcore.runs import RunFolder, RunSpec, list_runs
from sfcore.runs.estimate import Amount, estimate, predicted, try_out

THERE = Amount(images=16, scenes=0, steps=4, check_every=4, of_net=True)
TWICE = Amount(images=32, scenes=0, steps=10, check_every=5, of_net=True)


def progress(at: float, phase: str, done: int, total: int) -> dict[str, Any]:
    return {"type": "progress", "time": at, "phase": phase, "done": done, "total": total}


def step(at: float, **more: object) -> dict[str, Any]:
    return {"type": "step", "time": at, **more}


GETTING_READY = [
    progress(2.0, "reading images", 8, 16),  # 2 s to start, then an eighth of a second an image
    progress(3.0, "reading images", 16, 16),
    progress(5.0, "calibrating", 1, 2),  # 1 s a batch and 1 s once
    progress(6.0, "calibrating", 2, 2),
]
STEPS = [step(10.0), step(11.0), step(12.0), step(15.0, held_back=1.0)]  # 1 s a step, 2 s a check of 2 images


def test_what_a_phase_took_is_multiplied_by_how_much_there_is_to_do() -> None:
    assert predicted(GETTING_READY, 0.0, THERE, THERE) == pytest.approx(2 + 2 + 3)
    assert predicted(GETTING_READY, 0.0, THERE, TWICE) == pytest.approx(2 + 4 + 5)


def test_bias_correction_comes_after_the_last_batch_and_sees_so_many_images() -> None:
    corrected = [*GETTING_READY, progress(7.4, "calibrating", 2, 2)]  # 1.4 s for 14 images
    many = Amount(images=1600, scenes=0, steps=0, check_every=5, of_net=True)
    assert predicted(corrected, 0.0, THERE, many) == pytest.approx(2 + 200 + 64 + 1 + 12.8)


def test_steps_and_checks_are_counted() -> None:
    """Ten steps, and five checks (two between steps, three at both ends) of twice as many images."""
    assert predicted(GETTING_READY + STEPS, 0.0, THERE, TWICE) == pytest.approx(11 + 10 * 1 + 5 * 4)


def test_a_rest_between_two_steps_does_not_count() -> None:
    rested = [step(10.0), step(11.0), progress(5000.0, "reading images", 16, 16), step(5001.0), step(5002.0)]
    assert predicted(GETTING_READY + rested, 0.0, THERE, TWICE) == pytest.approx(11 + 10)


def test_units_record_and_step_in_turn() -> None:
    there = Amount(images=16, scenes=0, steps=2, check_every=100, of_net=False)
    here = Amount(images=32, scenes=0, steps=20, check_every=100, of_net=False)
    events = [
        progress(0.0, "calibrating", 2, 2),
        progress(7.0, "recording unit 1 of 2", 14, 14), step(8.0, unit=[1, 2, "a"]), step(9.0, unit=[1, 2, "a"]),
        progress(16.0, "recording unit 2 of 2", 14, 14), step(17.0, unit=[2, 2, "b"]), step(20.0, unit=[2, 2, "b"]),
    ]  # fmt: skip
    assert predicted(events, 0.0, there, here) == pytest.approx(2 * (7 + 7) + 2 * 20 * (1 + 3) / 2)


def spec(**options: Any) -> RunSpec:
    return RunSpec("ganet-tiny", (str(sample_data() / "scenes"),), "W4A4", "netwise", options=options, limit=24)


def earlier(root: Path, **options: Any) -> RunFolder:
    """A run that is done, of 24 images, 21 of which were tuned on."""
    run = RunFolder.create(root / "earlier", spec(**options))
    run.append({"type": "done"})
    run.update(status="done", started=0.0, memory=5_000, image_bytes=[100, 10])
    return run


def test_a_run_is_read_off_one_that_did_the_same_things(tmp_path: Path) -> None:
    earlier(tmp_path, iterations=100, batch=4)
    found = estimate(spec(iterations=5000, batch=4, learning_rate=1e-3), tmp_path)
    assert found and (found.of.name, found.trial, found.memory) == ("earlier", False, 5_000)
    assert estimate(spec(iterations=100, batch=8), tmp_path) is None  # another batch, another time
    assert estimate(spec(iterations=100, batch=4, selection="exact"), tmp_path) is None


def test_a_run_whose_method_is_gone_is_passed_over(tmp_path: Path) -> None:
    run = earlier(tmp_path)
    run.update(spec=spec().to_dict() | {"method": "gone"})
    assert estimate(spec(), tmp_path) is None


def test_memory_grows_with_pixels_and_with_activations_up_to_their_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier(tmp_path)
    twice = RunSpec.from_dict(spec().to_dict() | {"limit": 48})
    assert (found := estimate(twice, tmp_path)) and found.memory == 5_000 + 24 * 100 + 21 * 10
    monkeypatch.setenv("SFCORE_MEMORY", "0.0000003")  # 300 bytes
    assert (found := estimate(twice, tmp_path)) and found.memory == 5_000 + 24 * 100 + 300 - 210


def test_a_trial_is_a_run_of_its_own_kind(tmp_path: Path) -> None:
    wanted = RunSpec.from_dict(spec().to_dict() | {"method": "calibrate"})
    assert estimate(wanted, tmp_path) is None
    trial = try_out(wanted, tmp_path)
    end = time.monotonic() + 600
    while trial.is_alive() and time.monotonic() < end:
        time.sleep(0.1)
    found = estimate(wanted, tmp_path)
    assert found, (trial.path / "worker.log").read_text()
    assert found.trial and found.seconds > 0 and found.memory > 50_000_000
    assert trial.spec.limit == 16 and list_runs(tmp_path) == []
    assert not trial.has_tensors("calibrated")
