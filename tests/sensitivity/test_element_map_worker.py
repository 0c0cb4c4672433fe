"""Element maps that a process of its own measures."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfcore.detectors.registry import create
from sfcore.errors import InputError
from sfcore.sensitivity import element_map_worker
from sfcore.sensitivity.element_map_worker import MapRequest, ask, serve
from sfcore.sensitivity.elements import Grain, element_map


@pytest.fixture(scope="module")
def asked_for():
    detector = create("lstr-tiny")
    with torch.no_grad():
        outputs = detector(torch.rand(1, 3, *detector.preprocessing.size, generator=torch.Generator().manual_seed(0)))
    return MapRequest("lstr-tiny", None, outputs, "shared", 0.1, Grain())


@pytest.fixture
def started(monkeypatch):
    """The processes that would have been started; none is."""
    commands = []
    monkeypatch.setattr(element_map_worker.subprocess, "Popen", lambda command, **_: commands.append(command))
    return commands


def test_a_process_of_its_own_measures_the_same_map(asked_for, tmp_path):
    end = time.monotonic() + 180  # a busy machine takes long to start a process
    while isinstance(found := ask(tmp_path / "maps", asked_for), float) and time.monotonic() < end:
        assert 0 <= found <= 1
        time.sleep(0.1)
    expected = element_map(create("lstr-tiny"), asked_for.outputs, "shared", 0.1)
    assert torch.allclose(found, expected, rtol=1e-4)
    assert [path.suffix for path in sorted((tmp_path / "maps").iterdir())] in ([".map", ""], ["", ".map"])


def test_one_process_is_started_and_none_while_one_is_at_work(asked_for, tmp_path, started):
    assert ask(tmp_path, asked_for) == 0.0 and len(started) == 1
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ask(tmp_path, asked_for) == 0.0
        assert ask(tmp_path, replace(asked_for, level=0.2)) == 0.0
    assert len(started) == 1


def test_what_nobody_waits_for_is_dropped(asked_for, tmp_path, started):
    ask(tmp_path, asked_for)
    os.utime(tmp_path / f"{asked_for.name}.ask", (0, 0))
    serve(tmp_path, linger=0.15)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_map_is_given_up_when_the_last_one_has_left(asked_for, tmp_path, started, monkeypatch):
    ask(tmp_path, asked_for)
    waited_for = iter([True, False])
    monkeypatch.setattr(element_map_worker, "_is_waited_for", lambda asked: next(waited_for))
    serve(tmp_path, linger=0.15)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_what_cannot_be_measured_is_explained_and_can_be_asked_again(asked_for, tmp_path, started):
    wrong = replace(asked_for, weights=Path("/no/such/weights.pth"))
    ask(tmp_path, wrong)
    serve(tmp_path, linger=0.15)
    with pytest.raises(InputError, match=r"/no/such/weights\.pth"):
        ask(tmp_path, wrong)
    assert ask(tmp_path, wrong) == 0.0


def test_the_name_tells_the_content_and_nothing_else(asked_for):
    moved = {name: value + (name == "shared") for name, value in asked_for.outputs.items()}
    assert replace(asked_for, weights=Path("elsewhere.pth")).name == asked_for.name
    others = [replace(asked_for, level=0.2), replace(asked_for, head="own"), replace(asked_for, grain=Grain(2))]
    assert len({asked_for.name, *(other.name for other in [*others, replace(asked_for, outputs=moved)])}) == 5


def test_a_task_is_read_as_it_was_written(asked_for, tmp_path):
    written = replace(asked_for, weights=Path("w.pth"), grain=Grain(queries=3))
    written.write(tmp_path / "asked_for")
    found = MapRequest.read(tmp_path / "asked_for")
    assert found.name == written.name and found.weights == Path("w.pth")


def test_maps_not_looked_at_for_longest_go_first(asked_for, tmp_path, started, monkeypatch):
    monkeypatch.setattr(element_map_worker, "MOST_KEPT", 2)
    for age in (30, 20, 10):
        (tmp_path / f"{age}.map").touch()
        os.utime(tmp_path / f"{age}.map", (time.time() - age,) * 2)
    ask(tmp_path, asked_for)
    serve(tmp_path, linger=0.15)
    assert {path.name for path in tmp_path.glob("*.map")} == {"10.map", f"{asked_for.name}.map"}
