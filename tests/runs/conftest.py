"""A specification that needs no weights of anybody's."""

from __future__ import annotations

import pytest

from sfcore.runs import RunSpec


@pytest.fixture
def spec() -> RunSpec:
    return RunSpec(
        "lstr-r18s", ("frames[:140]", "more"), "W4A4", "netwise", "some.pkl", {"iterations": 40}, 12, 3, "cpu"
    )
