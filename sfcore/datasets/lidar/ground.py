"""The ground of rendered sweeps: a street with kerbs and markings, seen from a scanner above its origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfcore.datasets.lidar.prisms import Hits

LANE = 3.3  # metres
STEPS = np.geomspace(1.2, 125, 200)  # metres from the scanner at which the ground's height is taken
Generator = np.random.Generator
Places = np.ndarray | np.float64


@dataclass(frozen=True)
class Street:
    """A street that runs by the scanner; s is metres along it and d metres to its left.

    Attributes:
        yaw: of the street where the scanner is, in radians.
        bend: half its curvature, per metre.
        offset: d of the scanner.
        half: half its width between the kerbs.
        pavement: width of each pavement.
        kerb: height of the kerbs.
        crossing: s of the middle of a crossing street, inf where there is none.
        across: half the crossing street's width.
        slope: (2,) rise per metre along x and y.
        waves: (K, 4) amplitude, phase and the x and y of the wave number.
        bare: height of the scanner above the street.
    """

    yaw: float
    bend: float
    offset: float
    half: float
    pavement: float
    kerb: float
    crossing: float
    across: float
    slope: np.ndarray
    waves: np.ndarray
    bare: float

    @classmethod
    def drawn(cls, bare: float, generator: Generator) -> Street:
        """A street as the generator draws it, with the scanner in one of the lanes on its right half."""
        lanes = int(generator.integers(2, 5))
        parking = generator.choice([0.0, 2.2])
        half = lanes * LANE / 2 + parking
        length = generator.uniform(20, 70, 3)
        angle = generator.uniform(0, 2 * np.pi, (2, 3))
        waves = np.stack(
            [
                generator.uniform(0, 0.0018, 3) * length,
                angle[0],
                *(2 * np.pi / length * [np.cos(angle[1]), np.sin(angle[1])]),
            ],
            1,
        )
        near = generator.uniform(12, 45) * generator.choice([-1, 1])
        return cls(
            yaw=float(generator.normal(0, 0.12)),
            bend=float(generator.normal(0, 0.0012)),
            offset=float(parking + LANE / 2 - half + generator.normal(0, 0.3)),
            half=half,
            pavement=float(generator.uniform(1.8, 5)),
            kerb=float(generator.uniform(0.06, 0.16)),
            crossing=float(near if generator.random() < 0.5 else np.inf),
            across=float(generator.choice([1, 2]) * LANE),
            slope=generator.normal(0, 0.012, 2),
            waves=waves,
            bare=bare,
        )

    def coordinates(self, x: Places, y: Places) -> tuple[np.ndarray, np.ndarray]:
        """s and d of places."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        s = x * cos + y * sin
        return s, y * cos - x * sin + self.offset - self.bend * s**2

    def place(self, s: float, d: float) -> tuple[float, float]:
        """x and y of a place on the street."""
        side = d - self.offset + self.bend * s**2
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return float(s * cos - side * sin), float(s * sin + side * cos)

    def heading(self, s: float) -> float:
        """Direction of the street in radians."""
        return float(self.yaw + np.arctan(2 * self.bend * s))

    def raised(self, s: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Whether a place lies beyond the kerbs."""
        return (np.abs(d) > self.half) & (np.abs(s - self.crossing) > self.across)

    def height(self, x: Places, y: Places) -> np.ndarray:
        """z of the ground in metres; the scanner is at 0."""
        s, d = self.coordinates(x, y)
        z = self.slope[0] * x + self.slope[1] * y - self.bare
        for size, phase, along, across in self.waves:
            z = z + size * (np.sin(along * x + across * y + phase) - np.sin(phase))
        lawn = np.clip(np.abs(d) - self.half - self.pavement, 0, 12) * 0.03
        return z + self.raised(s, d) * (self.kerb + lawn)

    def reflectance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Of asphalt, its markings, pavements and lawns."""
        s, d = self.coordinates(x, y)
        side = np.abs(d)
        between = np.abs((d + self.half) % LANE) < 0.14
        dashed = between & (s % 9 < 3.5) & (side < self.half - 1)
        edge = np.abs(side - self.half + 0.3) < 0.09
        paved = np.where(dashed | edge, 0.6, 0.16)
        beyond = np.where(side < self.half + self.pavement, 0.3, 0.38)
        return np.where(self.raised(s, d), beyond, paved)


def seen_ground(street: Street, azimuth: np.ndarray, rise: np.ndarray) -> Hits:
    """Rays from the origin to the first ground that they meet; see :func:`sfcore.datasets.lidar.prisms.cast`."""
    cos, sin = np.cos(azimuth)[:, None], np.sin(azimuth)[:, None]
    z = street.height(STEPS * cos, STEPS * sin)
    horizon = np.maximum.accumulate(z / STEPS, 1)  # the ground hides all rays below
    after = np.stack([np.searchsorted(each, rise) for each in horizon], 1)
    met = (after > 0) & (after < len(STEPS))
    after = after.clip(1, len(STEPS) - 1)
    columns = np.arange(len(azimuth))
    near, z_near, z_far = STEPS[after - 1], z[columns, after - 1], z[columns, after]
    grade = (z_far - z_near) / (STEPS[after] - near)
    falls = rise[:, None] - grade
    distance = np.where(met, (z_near - near * grade) / np.where(np.abs(falls) < 1e-9, 1e-9, falls), np.inf)
    distance = np.where(met, distance.clip(near, STEPS[after]), np.inf)
    facing = np.abs(falls) / np.sqrt((1 + rise[:, None] ** 2) * (1 + grade**2))
    where = np.where(met, distance, 1.0)
    return Hits(distance, facing, street.reflectance(where * cos.T, where * sin.T))
