"""Renders a road scene with exact lane labels from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from sfcore.datasets.scenes import backdrop, ground, light, markings, roadside, sensor, vehicles
from sfcore.datasets.scenes.geometry import View, lane_label
from sfcore.datasets.scenes.look import Look, look
from sfcore.datasets.scenes.plan import PROBABILITIES, SCENARIOS, Plan, Road, plan
from sfcore.datasets.scenes.sightings import Sightings
from sfcore.errors import InputError
from sfcore.tasks.lanes import Polyline

#: Changes whenever the same seed gives another picture or other labels.
VERSION = 1

SIZE = (360, 640)  # (height, width) of a picture in pixels, unless said otherwise
NARROWEST = 20 / 640  # a lane narrower than this share of the image's width is too far to label
SHORTEST = 0.08  # of the image's height: shorter labels are left out
MOST_METRES = 140.0


@dataclass(frozen=True)
class Scene:
    """A rendered road and its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        lanes: one (N, 2) float64 polyline of x, y in pixels a lane boundary, from left to right, each from
            the bottom up, inside [0, W-1] × [0, H-1]; they run on through gaps, vehicles and missing paint.
        scenario: one of SCENARIOS.
        seed: what it was rendered from.
        boxes: (K, 5) vehicles, see :meth:`sfcore.datasets.scenes.sightings.Sightings.boxes`.
    """

    image: np.ndarray
    lanes: list[Polyline]
    scenario: str
    seed: int
    boxes: np.ndarray = field(default_factory=lambda: np.empty((0, 5)))

    @property
    def objects(self) -> dict[str, list[np.ndarray]]:
        """What is labelled, by the name of its task; boxes as (6,) sides, place in NAMES, and a score of 1."""
        return {"lanes": list(self.lanes), "boxes2d": [np.append(box, 1.0) for box in self.boxes]}


def render(seed: int, size: tuple[int, int] = SIZE, scenario: str | None = None) -> Scene:
    """Render the scene of a seed; the same arguments give the same bytes on the same machine.

    Args:
        seed: 0 or more. Below 800,000 for training, 800,000 to 899,999 for tests, from 900,000 for samples.
        size: (height, width) in pixels, each at least 64.
        scenario: one of SCENARIOS; drawn by PROBABILITIES when None.

    Raises:
        InputError: a scenario that does not exist, a negative seed or an image too small.
    """
    if scenario is not None and scenario not in PROBABILITIES:
        raise InputError(f"scenario '{scenario}' does not exist: choose one of {', '.join(SCENARIOS)}.")
    if seed < 0 or min(size) < 64:
        raise InputError(
            f"seed {seed} and size {size} cannot be rendered: give a seed >= 0 and sides of 64 px or more."
        )
    scene = layout(seed, size, scenario)
    seen = Sightings(scene.view)
    image = _draw(scene, np.random.default_rng([seed, 1]), seen)
    return Scene(image, labels(scene.view, scene.road, scene.scenario), scene.scenario, seed, seen.boxes())


def layout(seed: int, size: tuple[int, int], scenario: str | None = None) -> Plan:
    """The camera and the road of a seed, without the picture.

    It draws from a stream of its own: a new look never moves a label.
    """
    rng = np.random.default_rng([seed, 0])
    drawn = str(rng.choice(SCENARIOS, p=list(PROBABILITIES.values())))
    return plan(rng, size, scenario or drawn)


def labels(view: View, road: Road, scenario: str) -> list[Polyline]:
    """The visible part of every lane boundary, left to right; a crossroad has none."""
    if scenario == "cross":
        return []
    lane = np.mean([b.s - a.s for a, b in pairwise(road.markings)])
    z = np.linspace(5, MOST_METRES, 500)
    wide = view.camera.focal * lane / view.camera.depth(view.course.elevation(z), z) >= NARROWEST * view.size[1]
    lines = [lane_label(view, marking.s, float(z[wide].max(initial=5.0))) for marking in road.markings]
    return [line for line in lines if len(line) >= 2 and np.ptp(line[:, 1]) >= SHORTEST * view.size[0]]


def _draw(scene: Plan, rng: np.random.Generator, seen: Sightings) -> np.ndarray:
    """Everything from the sky to the sensor, far to near; ``seen`` is told the vehicles."""
    view, road = scene.view, scene.road
    image = np.zeros((*view.size, 3), np.uint8)
    style = look(rng, scene.scenario, road.city)
    density = rng.uniform(2.0, 4.5) if scene.scenario == "crowd" else rng.uniform(0.15, 1.3)
    beyond, cars = vehicles.traffic(rng, road, density)
    backdrop.draw_sky(image, view.horizon, style, rng)
    backdrop.draw_ridges(image, view.horizon, style, rng)
    texture = _draw_road(image, scene, style, rng)
    light.draw_shadows(image, scene, texture, beyond + cars, style, rng)
    if style.wet:
        light.wet_road(image, view, style)
    _draw_beside(image, scene, style, beyond, rng, seen)
    for car in cars:
        vehicles.draw_vehicle(image, view, car, style)
        seen.add(car)
    if style.night:
        light.fall_of_night(image, scene, texture, beyond + cars, style, rng)
    elif style.dazzle:
        light.draw_dazzle(image, view, rng)
    if rng.random() < 0.2:
        sensor.draw_bonnet(image, rng)
    elif rng.random() < 0.2 and not style.night:
        light.reflections(image, rng)
    return sensor.expose(image, rng)


def _draw_road(image: np.ndarray, scene: Plan, style: Look, rng: np.random.Generator) -> ground.Texture:
    """The ground with its paint and texture; returns the texture for the light to use."""
    view, road = scene.view, scene.road
    texture = ground.Texture(view, rng)
    ground.draw_ground(image, view, road, style, rng)
    if scene.scenario == "cross":
        markings.draw_crossing(image, view, road, style.asphalt, rng)
    ground.draw_seams(image, view, road, rng)
    wear = texture.at(0.9, 0.06, 0.25)
    for marking in road.markings:
        markings.paint(image, texture, marking, wear)
    if scene.scenario == "arrow":
        markings.draw_arrows(image, view, road, rng)
    ground.texture_ground(image, texture, road, style, wear, rng)
    return texture


def _draw_beside(
    image: np.ndarray,
    scene: Plan,
    style: Look,
    beyond: list[vehicles.Vehicle],
    rng: np.random.Generator,
    seen: Sightings,
) -> None:
    """What stands beside the road, and the traffic beyond the median."""
    view, road = scene.view, scene.road
    if road.city:
        roadside.draw_houses(image, view, road, style, 42.0 if scene.scenario == "cross" else 3.0, rng)
    if rng.random() < 0.85:
        roadside.draw_trees(image, view, road, style, rng)
    for car in beyond:
        vehicles.draw_vehicle(image, view, car, style)
        seen.add(car)
    with seen.behind(image):
        if not road.city:
            for s, odds in ((road.left - 0.5, 0.9 if road.beyond else 0.4), (road.right + 0.5, 0.5)):
                if rng.random() < odds:
                    roadside.draw_barrier(image, view, s, style, rng)
        if rng.random() < 0.35:
            roadside.draw_poles(image, view, road, style, rng)
        roadside.draw_signs(image, view, road, style, rng)
