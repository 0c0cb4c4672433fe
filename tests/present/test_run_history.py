"""A run's events as series, selection and time left."""

from __future__ import annotations

from sfcore.present.run_history import history


def step(iteration: int, **more: object) -> dict[str, object]:
    return {"type": "step", "time": float(iteration), "iteration": iteration, "iterations": 100, "loss": 1.0, **more}


def test_nothing_yet() -> None:
    found = history([])
    assert found.phase == "starting" and found.seconds_left is None and found.loss == ((), ())


def test_progress_of_a_phase_before_tuning() -> None:
    found = history(
        [{"type": "progress", "phase": "calibrating", "done": d, "total": 8, "time": 2.0 * d} for d in range(1, 5)]
    )
    assert (found.phase, found.done, found.total, found.seconds_left) == ("calibrating", 4, 8, 8.0)


def test_time_left_follows_the_speed_of_the_steps() -> None:
    found = history([step(i) for i in range(1, 41)])
    assert found.phase == "tuning" and found.seconds_left == 60.0


def test_noise_levels_stand_where_they_were_measured() -> None:
    found = history([step(1, noise={"a": 0.5}), step(2), step(3, noise={"a": 0.25})])
    assert found.noise == {"a": ([1, 3], [0.5, 0.25])}


def test_neighbouring_steps_with_one_selection_are_one_stretch() -> None:
    found = history(
        [step(1, selected=["a"]), step(2, selected=["a"]), step(3, selected=["b", "a"]), step(4, selected=["b", "a"])]
    )
    assert found.selected == [(0, 2, ("a",)), (2, 4, ("b", "a"))]


def test_what_is_known_of_weights_stands_where_it_was_written_down() -> None:
    facts = {"conv": {"balanced": 0.9}}
    assert history([step(1, weights=facts), step(2), step(3, weights=facts)]).weights == [(1, facts), (3, facts)]
    assert history([step(1)]).weights == []
