"""How a scene is lit and coloured: the weather, the hour, the colours of sky, road and land."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp

import numpy as np

from sfcore.datasets.scenes.draw import Colour

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Colours are RGB, 0 to 255, as they would be without haze.

    Attributes:
        sky: colours at the top of the image and at the horizon.
        clouds: 0 none to 1 covered.
        cloud: colour of clouds.
        haze: metres at which a thing has lost 63 % of its contrast.
        sun: strength of direct light, 0 to 1: how dark cast shadows are.
        sun_side: where cast shadows fall, -1 left to 1 right.
        asphalt, shoulder, verge, foliage, hills: colours of what lies around.
        night: headlights instead of the sun.
        dazzle: a low sun ahead, or by night the headlights of others.
        wet: how much the road mirrors the sky, 0 to 1.
    """

    sky: tuple[RGB, RGB]
    clouds: float
    cloud: RGB
    haze: float
    sun: float
    sun_side: float
    asphalt: RGB
    shoulder: RGB
    verge: RGB
    foliage: RGB
    hills: RGB
    night: bool = False
    dazzle: bool = False
    wet: float = 0.0

    def afar(self, colour: Colour, z: float) -> RGB:
        """A colour as seen through z metres of air."""
        through = exp(-z / self.haze)
        red, green, blue = (far + (c - far) * through for far, c in zip(self.sky[1], colour, strict=True))
        return red, green, blue


# top of the sky, horizon, clouds, sun, haze
_SKIES: dict[str, tuple[RGB, RGB, float, float, float]] = {
    "clear": ((70, 122, 190), (178, 206, 230), 0.1, 0.95, 1600),
    "fair": ((88, 138, 196), (196, 212, 226), 0.5, 0.85, 1000),
    "overcast": ((140, 147, 156), (196, 200, 204), 0.9, 0.15, 600),
    "gloomy": ((88, 96, 108), (160, 168, 178), 1.0, 0.05, 700),
    "dusk": ((168, 176, 192), (236, 210, 190), 0.15, 0.2, 280),
    "white": ((228, 234, 240), (244, 244, 242), 0.0, 0.4, 700),
}
_VERGES: tuple[RGB, ...] = ((84, 100, 50), (104, 112, 66), (176, 154, 106), (150, 134, 98), (122, 112, 96))


def look(rng: np.random.Generator, scenario: str, city: bool) -> Look:
    """Draw the light and the colours of a scene."""
    weights = [0.5, 0.4, 0, 0, 0, 0.1] if scenario == "shadow" else [0.3, 0.22, 0.18, 0.12, 0.07, 0.11]
    top, low, clouds, sun, haze = _SKIES[str(rng.choice(list(_SKIES), p=weights))]
    level = rng.uniform(58, 150) if sun > 0.5 else rng.uniform(52, 130)
    asphalt = _grey(rng, level, 3)
    verge = _grey(rng, rng.uniform(95, 165), 6) if city else _vary(rng, _VERGES[rng.integers(0, len(_VERGES))], 12)
    found = Look(
        sky=(_vary(rng, top, 9), _vary(rng, low, 7)),
        clouds=float(clouds * rng.uniform(0.5, 1.2)),
        cloud=_vary(rng, (228, 230, 234) if sun > 0.3 else (176, 180, 186), 9),
        haze=float(haze * rng.uniform(0.7, 1.6)),
        sun=sun,
        sun_side=float(rng.choice([-1, 1]) * rng.uniform(0.25, 1)),
        asphalt=asphalt,
        shoulder=_scale(asphalt, rng.uniform(0.8, 1.15)),
        verge=verge,
        foliage=_vary(rng, (76, 84, 44) if sun > 0.3 else (52, 58, 38), 9),
        hills=_vary(rng, (92, 112, 122), 12),
    )
    dazzle = scenario == "hlight"
    if scenario == "night" or (dazzle and rng.random() < 0.4):
        dark: tuple[RGB, RGB] = ((16, 18, 28), (44, 42, 48))
        return replace(found, sky=dark, clouds=0.2, cloud=(40, 40, 46), haze=2500, sun=0.0, night=True, dazzle=dazzle)
    if not dazzle and rng.random() < 0.07:
        return replace(found, wet=float(rng.uniform(0.3, 0.8)), haze=found.haze * 0.4, sun=found.sun * 0.2)
    return replace(found, dazzle=dazzle)


def _vary(rng: np.random.Generator, colour: RGB, spread: float) -> RGB:
    """A colour near another: brightness off by ``spread``, hue by a fifth of it."""
    values = np.clip(np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, spread / 5, 3), 0, 255)
    return (float(values[0]), float(values[1]), float(values[2]))


def _grey(rng: np.random.Generator, level: float, spread: float) -> RGB:
    return _vary(rng, (level, level, level + rng.normal(0, 3)), spread)


def _scale(colour: RGB, factor: float) -> RGB:
    return (min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0))
