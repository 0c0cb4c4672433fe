"""What the app remembers for all visitors, within its bytes."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from app import session


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> session._Memory:
    """One of a thousand bytes."""
    monkeypatch.setattr(session, "MOST_REMEMBERED", 1000)
    return session._Memory()


def keep(memory: session._Memory, key: str, size: int) -> None:
    memory.remembered(key, lambda: np.zeros(size, np.uint8))


def held(memory: session._Memory) -> str:
    return "".join(key for key in "abcd" if key in memory)


def test_what_was_not_used_for_longest_makes_room(memory: session._Memory) -> None:
    for key in "abc":
        keep(memory, key, 300)
    keep(memory, "a", 300)
    keep(memory, "d", 200)
    assert held(memory) == "acd"


def test_a_result_is_made_once(memory: session._Memory) -> None:
    keep(memory, "a", 300)
    assert memory.remembered("a", lambda: pytest.fail("made again")).size == 300


def test_one_that_is_larger_than_all_room_is_kept_alone(memory: session._Memory) -> None:
    keep(memory, "a", 300)
    keep(memory, "b", 5000)
    assert held(memory) == "b"
    keep(memory, "c", 300)
    assert held(memory) == "c"


def test_large_results_are_dropped_and_the_order_of_the_others_stays(memory: session._Memory) -> None:
    for key, size in (("a", 200), ("b", 200), ("c", 500)):
        keep(memory, key, size)
    keep(memory, "a", 200)
    memory.drop(400)
    assert held(memory) == "ab"
    keep(memory, "d", 700)
    assert held(memory) == "ad"


def test_two_visitors_do_not_wait_for_each_others_results(memory: session._Memory) -> None:
    both = threading.Barrier(2, timeout=30)

    def make() -> int:
        both.wait()
        return 1

    threads = [threading.Thread(target=memory.remembered, args=(key, make)) for key in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert held(memory) == "ab"
