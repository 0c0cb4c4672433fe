"""What stands and moves along the street of a rendered sweep."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sfcore.datasets.lidar import bodies
from sfcore.datasets.lidar.bodies import Body
from sfcore.datasets.lidar.ground import LANE, Street
from sfcore.datasets.lidar.prisms import Prism, moved

REACH = 85.0  # metres along the street, to either side, that are built on
CLEAR = 2.6  # metres around the scanner that stay free: its own vehicle
Generator = np.random.Generator


@dataclass
class Town:
    """A town under construction; nothing is put where something is.

    Attributes:
        street: that it lies on.
        generator: draws everything.
        labelled: bodies that have a box.
        others: prisms of all the rest.
        taken: (x, y, radius) of circles that cover what was put there.
    """

    street: Street
    generator: Generator
    labelled: list[Body] = field(default_factory=list)
    others: list[Prism] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=lambda: [(0.0, 0.0, CLEAR), (-1.5, 0.0, CLEAR)])

    @property
    def prisms(self) -> list[Prism]:
        """All that stands there."""
        return [prism for body in self.labelled for prism in body.prisms] + self.others

    def free(self, box: np.ndarray) -> bool:
        """Whether a box, of which the height does not count, meets no circle that is taken."""
        x, y, _, length, width, _, yaw = box
        taken = np.array(self.taken)
        dx, dy = taken[:, 0] - x, taken[:, 1] - y
        along, across = np.abs(dx * np.cos(yaw) + dy * np.sin(yaw)), np.abs(dy * np.cos(yaw) - dx * np.sin(yaw))
        apart = np.hypot((along - length / 2).clip(0), (across - width / 2).clip(0))
        return bool((apart > taken[:, 2]).all())

    def take(self, box: np.ndarray) -> bool:
        """Whether a box is free; from then on it is taken."""
        free = self.free(box)
        if free:
            self.taken += _circles(box)
        return free

    def spot(self, s: float, d: float) -> tuple[float, float, float]:
        """x, y and z of the ground at a place along the street."""
        x, y = self.street.place(s, d)
        return x, y, float(self.street.height(np.float64(x), np.float64(y)))

    def put(self, name: str, s: float, d: float, turn: float = 0.0) -> None:
        """A labelled body at a place, turned against the street; none where it is not free."""
        x, y, z = self.spot(s, d)
        yaw = (self.street.heading(s) + turn + np.pi) % (2 * np.pi) - np.pi
        made = bodies.body(name, (x, y, z, yaw), self.generator)
        if self.take(made.box):
            self.labelled.append(made)


def _circles(box: np.ndarray) -> list[tuple[float, float, float]]:
    """Circles that cover a box, on a grid of squares or nearly so."""
    x, y, _, length, width, _, yaw = box
    cell = min(width, 2.5)
    rows, columns = round(width / cell), max(1, round(length / cell))
    along = np.repeat(((np.arange(columns) + 0.5) / columns - 0.5) * length, rows)
    across = np.tile(((np.arange(rows) + 0.5) / rows - 0.5) * width, columns)
    radius = float(np.hypot(length / columns, width / rows) / 2)
    places = moved(np.stack([along, across], 1), x, y, yaw)
    return [(float(px), float(py), radius) for px, py in places]


def built(street: Street, generator: Generator) -> Town:
    """A street with its traffic, parked vehicles, people, trees, poles and houses."""
    town = Town(street, generator)
    _drive(town)
    _park(town)
    _cross(town)
    _walk(town)
    for side in (-1, 1):
        _settle(town, side)
        _plant(town, side)
    return town


def _drive(town: Town) -> None:
    """Traffic in the lanes; right-hand, thin or dense."""
    street, generator = town.street, town.generator
    gap = generator.choice([9.0, 18.0, 40.0])
    lanes = int(street.half * 2 // LANE)
    for lane in range(lanes):
        d = (lane + 0.5 - lanes / 2) * LANE
        turn = np.pi if d > 0 else 0.0
        s = -REACH + generator.uniform(0, gap)
        while s < REACH:
            town.put("vehicle", s, d + generator.normal(0, 0.2), turn + generator.normal(0, 0.03))
            s += 7 + generator.exponential(gap)
    for side in (-1, 1):
        for _ in range(generator.poisson(1.0)):
            turn = (np.pi if side > 0 else 0) + generator.normal(0, 0.1)
            town.put("cyclist", generator.uniform(-45, 45), side * (street.half - generator.uniform(0.4, 1.2)), turn)


def _park(town: Town) -> None:
    """Vehicles along the kerbs, across them, or on a lot behind the pavement."""
    street, generator = town.street, town.generator
    for side in (-1, 1):
        how = generator.choice(["none", "along", "across", "lot"], p=[0.3, 0.4, 0.1, 0.2])
        if how == "none":
            continue
        step, depth = (6.2, -1.0) if how == "along" else (2.9, street.pavement + generator.uniform(2.8, 6))
        turned = 0.0 if how == "along" else np.pi / 2
        start, end = np.sort(generator.uniform(-60, 60, 2))
        for s in np.arange(start, max(end, start + 20), step):
            if generator.random() < 0.7 and abs(s - street.crossing) > street.across + 4:
                turn = turned + generator.choice([0, np.pi], p=[0.8, 0.2]) + generator.normal(0, 0.05)
                town.put("vehicle", s, side * (street.half + depth) + generator.normal(0, 0.1), turn)


def _cross(town: Town) -> None:
    """Traffic and people on the crossing street."""
    street, generator = town.street, town.generator
    if not np.isfinite(street.crossing):
        return
    for way in (-1, 1):
        for d in np.arange(-50, 50, 8.0):
            if generator.random() < 0.35:
                lane = street.crossing + way * LANE / 2 + generator.normal(0, 0.2)
                town.put("vehicle", lane, d + generator.uniform(-1, 1), way * np.pi / 2 + generator.normal(0, 0.05))
    for _ in range(generator.poisson(3)):
        s = street.crossing + generator.choice([-1, 1]) * (street.across + generator.uniform(0.5, 2.5))
        town.put("pedestrian", s, generator.uniform(-street.half, street.half), generator.uniform(-np.pi, np.pi))


def _walk(town: Town) -> None:
    """People on the pavements, alone and in groups, and some on bicycles."""
    street, generator = town.street, town.generator
    for _ in range(generator.poisson(7)):
        side = generator.choice([-1, 1])
        s, d = generator.uniform(-45, 45), side * (street.half + generator.uniform(0.4, street.pavement))
        turn = generator.choice([0, np.pi]) + generator.normal(0, 0.4)
        for _ in range(1 + generator.poisson(0.6)):
            town.put("pedestrian", s + generator.normal(0, 0.8), d + generator.normal(0, 0.6), turn)
    for _ in range(generator.poisson(1.5)):
        side = generator.choice([-1, 1])
        turn = generator.choice([0, np.pi]) + generator.normal(0, 0.2)
        town.put("cyclist", generator.uniform(-40, 40), side * (street.half + generator.uniform(0.5, 1.8)), turn)


def _plant(town: Town, side: int) -> None:
    """Trees, poles and clutter at the kerb; bushes, hedges and trees behind the pavement."""
    street, generator = town.street, town.generator
    behind = street.half + street.pavement
    leafy = generator.uniform(0.1, 0.7)
    for s in np.arange(-REACH, REACH, generator.uniform(6, 20)):
        x, y, z = town.spot(s + generator.normal(0, 1), side * (street.half + generator.uniform(0.4, 0.8)))
        if abs(s - street.crossing) > street.across + 2 and town.take(np.array([x, y, z, 0.5, 0.5, 1, 0])):
            tree = generator.random() < leafy
            town.others += (bodies.tree if tree else bodies.pole)(x, y, z, generator)
    for _ in range(generator.poisson(3)):
        x, y, z = town.spot(generator.uniform(-45, 45), side * (behind + generator.uniform(-0.6, 4)))
        yaw = street.yaw + generator.normal(0, 0.3)
        if town.take(np.array([x, y, z, 3.6, 1.9, 1, yaw])):
            town.others += bodies.clutter(x, y, z, yaw, generator)
    for _ in range(generator.poisson(30 * leafy)):
        s, long = generator.uniform(-REACH, REACH), float(generator.choice([1.2, 2.0, 7.0]))
        x, y, z = town.spot(s, side * (behind + generator.uniform(0.8, 25)))
        yaw = street.heading(s)
        if abs(s - street.crossing) > street.across + long and town.take(np.array([x, y, z, long, 1.2, 1, yaw])):
            tree = long < 2 or generator.random() < 0.3
            town.others += bodies.tree(x, y, z, generator) if tree else bodies.bush(x, y, z, long, yaw, generator)


def _settle(town: Town, side: int) -> None:
    """Houses and walls in a row, at a distance that holds for the whole row or for each."""
    street, generator = town.street, town.generator
    style = generator.choice(["row", "villas", "open"], p=[0.4, 0.4, 0.2])
    if style == "open":
        return
    back = street.half + street.pavement + generator.uniform(0.3, 5 if style == "row" else 9)
    s = -REACH - generator.uniform(0, 20)
    while s < REACH:
        length = generator.uniform(9, 32) if style == "row" else generator.uniform(8, 15)
        depth, high = generator.uniform(8, 14), generator.uniform(3, 16)
        middle, away = s + length / 2, back + depth / 2 + (generator.uniform(0, 4) if style == "villas" else 0)
        x, y, z = town.spot(middle, side * away)
        yaw = street.heading(middle) + (0 if side > 0 else np.pi)
        apart = abs(middle - street.crossing) > street.across + street.pavement + length / 2
        if apart and town.take(np.array([x, y, z, length, depth, high, yaw])):
            town.others += bodies.house(x, y, z, length, depth, yaw, high, generator)
        s += length + (generator.exponential(1.5) if style == "row" else generator.uniform(3, 14))
