"""Frames made by rule for the metrics of CULane and CurveLanes: only what the published tools count is recorded.

Python's own ``random`` and plain arithmetic make the same frames on every machine; lanes are texts with a fixed number
of decimals, so what is compared is exactly what was written.
"""

from __future__ import annotations

from random import Random

Line = list[tuple[float, float]]
SIZE = (590, 1640)
SHIFTS = (0.0, 0.5, 3.0, 4.2, 4.4, 8.0, 9.5, 9.9, 10.0, 10.1, 10.5, 14.0, 30.0)  # near IoUs of 0.75 and 0.5 at 30 px


def case(index: int) -> tuple[str, str]:
    """The predicted and the labelled lanes of a frame as ``.lines.txt`` files.

    Among them: empty files, 0 to 8 lanes on either side, curved, crossing, touching and nearly horizontal ones, lanes
    partly or fully outside of the image, of one, two or no points (blank lines), repeated points, lanes given twice or
    backwards, shifts near the thresholds, equal IoUs on both sides, files that end in the middle of a number.
    """
    rng = Random(index)
    labelled = [_lane(rng) for _ in range(rng.choice((0, 1, 2, 3, 4, 4, 4, 5, 8)))]
    predicted = [_moved(rng, lane) for lane in labelled if rng.random() < 0.9]
    predicted += [_lane(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    if labelled and rng.random() < 0.25:  # lanes between two that are nearly as near, at IoUs near a threshold
        middle, distance = rng.choice(labelled), rng.choice((4.2, 10.0))
        labelled.append(_shifted(middle, 2 * distance))
        predicted += [_shifted(middle, distance + rng.choice((-0.2, 0.0, 0.1, 8.0))) for _ in range(2)]
    rng.shuffle(predicted)
    digits = rng.choice((0, 1, 3, 5))
    text = _text(predicted[:8], digits)
    cut = rng.randrange(1, 9) if rng.random() < 0.02 else 0  # as if its writer had been killed
    return text[: len(text) - cut], _text([_odd(rng, lane) for lane in labelled[:8]], digits)


def _lane(rng: Random) -> Line:
    """A lane from the bottom upwards, slanted and bent."""
    if rng.random() < 0.05:
        return _horizontal(rng)
    points = rng.choice((2, 3, 4, 10, 18, 30, 30, 36, 72))
    bottom, top = rng.choice((589.0, 620.0, 450.0)), rng.choice((240.0, 260.0, 400.0, -20.0))
    beyond = rng.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1500.0))
    x, bend = rng.uniform(-150, 1790) + beyond, rng.choice((0.0, rng.uniform(-2e-3, 2e-3)))
    slope = (820 + beyond - x) / 350 * rng.uniform(0.2, 1.2)
    jitter = rng.choice((0.0, 0.0, 0.3, 2.0))
    heights = [bottom + (top - bottom) * i / (points - 1) for i in range(points)]
    return [(x + slope * (bottom - y) + bend * (bottom - y) ** 2 + jitter * rng.uniform(-1, 1), y) for y in heights]


def _horizontal(rng: Random) -> Line:
    y, step = rng.uniform(-40, 640), rng.choice((20.0, 50.0))
    return [(100 + step * i, y + rng.uniform(-1, 1)) for i in range(12)]


def _moved(rng: Random, lane: Line) -> Line:
    """What a detector might have made of a lane."""
    lane = _shifted(lane, rng.choice(SHIFTS) * rng.choice((-1, 1)) + rng.choice((0.0, rng.uniform(-0.2, 0.2))))
    kind = rng.random()
    if kind < 0.1:
        lane = lane[:: rng.choice((2, 3))]
    elif kind < 0.2:
        lane = lane[: max(len(lane) * 2 // 3, 1)]
    elif kind < 0.25:
        lane = lane[::-1]
    elif kind < 0.3:
        lane = [(x + rng.uniform(-12, 12), y) for x, y in lane]
    return _odd(rng, lane)


def _odd(rng: Random, lane: Line) -> Line:
    """A few lanes as no one should write them."""
    kind = rng.random()
    if kind < 0.015:
        return lane[:1]
    if kind < 0.03:
        return []
    if kind < 0.05:
        place = rng.randrange(len(lane))
        return lane[: place + 1] + lane[place:]
    if kind < 0.06:
        return [lane[0]] * rng.choice((2, 3))
    if kind < 0.10:
        return _shifted(lane, rng.choice((-3000.0, 3000.0, 2e6, -1e11)))
    if kind < 0.11:
        return [(x * 1e4, y) for x, y in lane]
    return lane


def _shifted(lane: Line, by: float) -> Line:
    return [(x + by, y) for x, y in lane]


def _text(lanes: list[Line], digits: int) -> str:
    return "".join(" ".join(f"{x:.{digits}f} {y:.{digits}f}" for x, y in lane) + "\n" for lane in lanes)
