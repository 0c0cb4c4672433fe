"""What a scene holds: the scenario, the camera, the road and its markings, drawn at random from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sfcore.datasets.scenes.geometry import Camera, Course, View

#: CULane's nine scenarios and how often each is rendered when none is asked for.
PROBABILITIES: dict[str, float] = {
    "normal": 0.32,
    "crowd": 0.16,
    "hlight": 0.05,
    "shadow": 0.13,
    "noline": 0.07,
    "arrow": 0.05,
    "curve": 0.10,
    "cross": 0.02,
    "night": 0.10,
}
SCENARIOS: tuple[str, ...] = tuple(PROBABILITIES)

WHITE, YELLOW = (232.0, 232.0, 226.0), (226.0, 176.0, 48.0)


@dataclass(frozen=True)
class Marking:
    """One lane boundary: where it runs and how it is painted.

    Attributes:
        s: metres right of the course.
        kind: solid, dashed, double or none (a boundary without paint).
        colour: RGB of fresh paint, 0 to 255.
        width: of one line, metres.
        dash, period, phase: metres along the road.
        wear: 0 fresh to 1 gone.
    """

    s: float
    kind: str
    colour: tuple[float, float, float] = WHITE
    width: float = 0.15
    dash: float = 3.0
    period: float = 9.0
    phase: float = 0.0
    wear: float = 0.0

    @property
    def lines(self) -> tuple[float, ...]:
        """s of each painted line."""
        if self.kind == "none":
            return ()
        return (self.s - self.width, self.s + self.width) if self.kind == "double" else (self.s,)


@dataclass(frozen=True)
class Road:
    """A carriageway: its lane boundaries from left to right and where its pavement ends.

    Attributes:
        markings: boundaries from left to right, one more than there are lanes.
        left, right: s of the pavement's edges, metres.
        oncoming: how many lanes at the left belong to the other direction.
        city: houses and kerbs rather than verges.
        parking: vehicles stand along the edges of a street.
        beyond: metres from the left edge to the carriageway of the other direction; 0 where there is none.
    """

    markings: tuple[Marking, ...]
    left: float
    right: float
    oncoming: int = 0
    city: bool = False
    parking: bool = False
    beyond: float = 0.0

    @property
    def lanes(self) -> tuple[float, ...]:
        """s of each lane's middle."""
        return tuple((a.s + b.s) / 2 for a, b in pairwise(self.markings))


@dataclass(frozen=True)
class Plan:
    """Everything that fixes the labels of a scene, before anything is drawn."""

    scenario: str
    view: View
    road: Road


def plan(rng: np.random.Generator, size: tuple[int, int], scenario: str) -> Plan:
    """Draw camera, course and road for a scenario."""
    view = View(_camera(rng, size), _course(rng, scenario), size)
    return Plan(scenario, view, _road(rng, scenario))


def _camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    height, width = size
    focal = width * rng.uniform(0.72, 1.35)
    cy = (height - 1) / 2
    horizon = height * np.clip(rng.normal(0.46, 0.07), 0.30, 0.62) - 0.5
    cx = (width - 1) / 2 + width * rng.normal(0, 0.02)
    return Camera(focal, cx, cy, float(rng.uniform(1.15, 2.0)), float(np.arctan((cy - horizon) / focal)))


def _course(rng: np.random.Generator, scenario: str) -> Course:
    sign = rng.choice([-1.0, 1.0])
    if scenario == "curve":
        curvature, rate = sign / rng.uniform(110, 400), rng.normal(0, 8e-6)
    elif scenario == "cross":
        curvature, rate = 0.0, 0.0
    else:
        curvature, rate = rng.choice([0.0, sign / rng.uniform(350, 2500)], p=[0.4, 0.6]), rng.normal(0, 2e-6)
    grade = 0.0 if scenario == "cross" else float(rng.normal(0, 0.012))
    return Course(float(rng.normal(0, 0.02)), float(curvature), float(rate), grade, float(rng.uniform(70, 200)))


def _road(rng: np.random.Generator, scenario: str) -> Road:
    lanes = int(rng.choice([1, 2, 3, 4], p=[0.06, 0.34, 0.36, 0.24]))
    if scenario == "noline":
        lanes = int(rng.choice([1, 2, 3], p=[0.25, 0.6, 0.15]))
    if scenario in ("crowd", "cross"):
        lanes = max(lanes, 2)
    ego = int(rng.integers(0, lanes))
    lane_width = rng.uniform(2.9, 3.9)
    city = bool(rng.random() < {"normal": 0.2, "cross": 0.8, "noline": 0.5, "curve": 0.05}.get(scenario, 0.3))
    two_way = lanes >= 2 and ego >= 1 and rng.random() < (0.6 if city else 0.35)
    oncoming = int(rng.integers(1, ego + 1)) if two_way else 0
    left = -(ego + 0.5) * lane_width + rng.normal(0, 0.25)
    offsets = left + lane_width * np.arange(lanes + 1)
    markings = _markings(rng, offsets, oncoming, scenario)
    shoulder = rng.uniform(0.2, 0.8, 2) if city or scenario == "noline" else rng.choice([0.3, 0.8, 1.6, 2.8], 2)
    if scenario == "noline":
        shoulder = shoulder * 0.3
    divided = not (city or oncoming) and lanes >= 2 and (rng.random() < 0.7 or scenario == "hlight")
    beyond = float(rng.uniform(0.8, 6)) if divided else 0.0
    parking = city and scenario != "cross" and bool(rng.random() < 0.6)
    shoulder = shoulder + 2.1 if parking else shoulder
    return Road(
        markings, float(offsets[0] - shoulder[0]), float(offsets[-1] + shoulder[1]), oncoming, city, parking, beyond
    )


def _markings(rng: np.random.Generator, offsets: np.ndarray, oncoming: int, scenario: str) -> tuple[Marking, ...]:
    """Edges solid, the middle of a two-way road double or yellow, the rest dashed; alike in width, dash and wear."""
    dash, period = ((3, 12), (3, 9), (4, 10), (2, 6), (6, 15), (4.5, 12))[rng.integers(0, 6)]
    wear = float(np.clip(rng.exponential(0.18), 0, 0.7))
    fade = rng.uniform(0.72, 1.05)
    white, yellow = ((float(r * fade), float(g * fade), float(b * fade)) for r, g, b in (WHITE, YELLOW))
    base = Marking(
        0.0, "dashed", white, float(rng.uniform(0.10, 0.20)), dash, period, float(rng.uniform(0, period)), wear
    )
    left_yellow, solid_inner = rng.random() < 0.3, rng.random() < 0.1
    found = []
    for i, s in enumerate(offsets):
        marking = replace(base, s=float(s), wear=float(np.clip(wear + rng.normal(0, 0.08), 0, 0.75)))
        if scenario in ("noline", "cross"):
            marking = replace(marking, kind="none")
        elif oncoming and i == oncoming:
            kind = str(rng.choice(["double", "solid", "dashed"], p=[0.5, 0.25, 0.25]))
            marking = replace(marking, kind=kind, colour=yellow if rng.random() < 0.7 else white)
        elif i in (0, len(offsets) - 1):
            colour = yellow if i == 0 and left_yellow and not oncoming else white
            kind = str(rng.choice(["solid", "none", "dashed"], p=[0.88, 0.06, 0.06]))
            marking = replace(marking, kind=kind, colour=colour, width=base.width * 1.15)
        elif solid_inner:
            marking = replace(marking, kind="solid")
        found.append(marking)
    return tuple(found)
