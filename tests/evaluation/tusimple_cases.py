"""Frames made by rule for the TuSimple metric: the same on every machine, so only the official scores are recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

Entry = dict[str, Any]
HEIGHTS = (np.arange(160, 720, 10), np.arange(240, 720, 10), np.arange(100, 580, 20), np.arange(340, 720, 5))
OFFSETS = (0.0, 3.0, 12.0, 19.9, 20.1, 24.0, 60.0)  # pixels; points are wrong from 20 px on, more on slanted lanes
NEGATIVES = (-2, -1, -100, -2000, -0.5)  # all of them mean "no point here"


def case(index: int) -> tuple[Entry, Entry]:
    """A label line and a prediction line, as dictionaries.

    Among them: 0 to 6 labelled lanes, predictions missing, moved to either side of the limits, doubled or cut, up to
    nine of them, absent points of several negative values, vertical, slanted, one-point and empty lanes, four spacings
    of heights, times over 200 ms.
    """
    rng = np.random.default_rng([23, index])
    name, heights = f"clips/{index:05d}/20.jpg", HEIGHTS[index % 3 if index % 8 else 3]
    labelled = [_lane(rng, heights) for _ in range(rng.integers(0, 7))]
    guessed = [_moved(rng, lane) for lane in labelled if rng.random() < 0.85]
    guessed += [_lane(rng, heights) for _ in range(rng.choice([0, 0, 0, 1, 2, 3]))]
    rng.shuffle(guessed)
    digits = None if index % 2 else 2  # whole numbers, as the official files have, or hundredths
    label = {"lanes": [_column(rng, lane, None) for lane in labelled], "h_samples": heights.tolist(), "raw_file": name}
    time = float(rng.choice([7.5, 10, 200, 200.01, 350], p=[0.4, 0.4, 0.1, 0.05, 0.05]))
    return label, {"raw_file": name, "lanes": [_column(rng, lane, digits) for lane in guessed], "run_time": time}


def usual_case(index: int) -> tuple[Entry, Entry]:
    """As :func:`case`, like the frames of the official test set: 3 to 5 lanes at 56 heights, four of them found."""
    rng, heights = np.random.default_rng([29, index]), HEIGHTS[0]
    labelled = []
    for place in np.arange(rng.integers(3, 6)) - 2 + rng.normal(0, 0.1):
        x = 640 + place * 1.3 * (heights - 250) + rng.normal(0, 10)
        labelled.append(np.where((heights >= 260) & (x >= 0) & (x < 1280), x, np.nan))
    guessed = [lane + rng.normal(0, 5, len(lane)) for lane in labelled[:4]]
    columns = [[_column(rng, lane, None) for lane in lanes] for lanes in (labelled, guessed)]
    name = f"clips/{index:05d}/20.jpg"
    label = {"lanes": columns[0], "h_samples": heights.tolist(), "raw_file": name}
    return label, {"raw_file": name, "lanes": columns[1], "run_time": 10}


def _lane(rng: np.random.Generator, heights: np.ndarray) -> np.ndarray:
    """(heights,) x of a slanted, slightly bent lane that covers part of the heights; NaN elsewhere."""
    depth = (heights - heights[0]) / 100
    slope, bend = rng.choice([0.0, rng.normal(0, 60), rng.normal(0, 300)]), rng.choice([0.0, rng.normal(0, 8)])
    x = rng.uniform(100, 1180) + slope * depth + bend * depth**2
    begin, end = np.sort(rng.integers(0, len(heights) + 1, 2)) if rng.random() < 0.3 else (rng.integers(0, 15), None)
    x[:begin], x[end:] = np.nan, np.nan
    return np.where((x >= 0) & (x < 1280), x, np.nan)


def _moved(rng: np.random.Generator, lane: np.ndarray) -> np.ndarray:
    """The lane shifted sideways, with a share of its points shifted much further or missing."""
    moved = lane + rng.choice(OFFSETS) * rng.choice([-1, 1]) + rng.normal(0, rng.choice([0.0, 2.0, 8.0]), len(lane))
    share = rng.choice([0.0, 0.05, 0.15, 0.16])
    moved[rng.random(len(lane)) < share] += 90
    moved[rng.random(len(lane)) < share] = np.nan
    return moved


def _column(rng: np.random.Generator, lane: np.ndarray, digits: int | None) -> list[float]:
    absent = NEGATIVES[rng.integers(len(NEGATIVES))] if rng.random() < 0.3 else -2
    return [absent if np.isnan(x) else round(float(x), digits) for x in lane]
