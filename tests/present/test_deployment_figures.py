"""Pictures of what engines make of a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfcore.deployment.latency import Latency
from sfcore.deployment.parity import SIMULATION, Parity
from sfcore.present.figures.deployment import BROKEN, latency, noise_floor
from sfcore.tasks.base import Agreement

AGREED = Agreement(4, 9, 1, 1, 0.9, 0.9, 0.9, 2.0, 0.5, "px")
KINDS = ("quantized", "quantized, all threads", "fp32", "fp32, all threads")


@pytest.fixture
def parity() -> Parity:
    """Two engines, one of which is much worse than the simulation."""
    engines = {SIMULATION: AGREED, "good": replace(AGREED, distortion=2.1), "bad": replace(AGREED, distortion=4.0)}
    again = {"layout": replace(AGREED, distortion=0.3), "batch": replace(AGREED, distortion=0.0)}
    times = {name: {kind: Latency(3.0, 5.0) for kind in KINDS} for name in engines}
    return Parity(4, engines, {}, again, {}, {}, times, {"onnx": 1, "onnx-fp32": 4})


def test_an_engine_that_breaks_its_promise_has_a_mark_of_its_own(parity: Parity) -> None:
    marks = {each.name: each for each in noise_floor(parity).data}
    assert list(marks["against full precision"].y) == [SIMULATION, "good"]
    broken = marks["promise not kept"]
    assert list(broken.y) == ["bad"] and broken.marker.color == BROKEN
    assert broken.marker.symbol != marks["against full precision"].marker.symbol


def test_the_band_is_as_wide_as_the_farthest_variant(parity: Parity) -> None:
    figure = noise_floor(parity)
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == pytest.approx((1.7, 2.3))
    rows = figure.layout.yaxis.categoryarray[::-1]
    assert [row for place, row in enumerate(rows[::-1]) if band.y0 < place < band.y1] == ["bad", "good", SIMULATION]


def test_whiskers_reach_up_to_the_95th_percentile(parity: Parity) -> None:
    bars = latency(parity).data
    assert [bar.name for bar in bars] == ["quantized", "fp32"] * 2
    assert all(list(bar.x) == [3.0] * 3 and list(bar.error_x.array) == [2.0] * 3 for bar in bars)
    assert not any(any(bar.error_x.arrayminus) for bar in bars)
