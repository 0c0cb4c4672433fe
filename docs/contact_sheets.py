"""Contact sheets of what detectors find in real frames, for the documentation.

    python docs/contact_sheets.py ganet-tiny resa-tiny --images 'highway[::18]' --out docs/pictures

The frames are drawn as edges: the project ships no photograph that it did not make.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from sfcore.datasets.images import find_images, read_images
from sfcore.detectors.base import Image
from sfcore.detectors.registry import create
from sfcore.present.pictures import contact_sheet, save_png
from sfcore.tasks.lanes import Polyline
from sfcore.tasks.lanes.drawing import draw_each

COLUMNS = 4


def edges(image: Image) -> Image:
    """Dark lines on white where an image has edges."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    found = cv2.dilate(cv2.Canny(grey, 40, 110), np.ones((2, 2), np.uint8))
    return np.repeat(255 - found[..., None] // 2, 3, axis=2)


def from_left(lanes: list[Polyline]) -> list[Polyline]:
    """In the order of their lower ends, so that a lane keeps its colour from frame to frame."""
    return sorted(lanes, key=lambda line: line[np.argmax(line[:, 1]), 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="NAME")
    parser.add_argument("--images", action="append", required=True, metavar="SOURCE")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    images = read_images(find_images(given.images, given.limit))
    for name in given.detectors:
        found = create(name).detect(images)
        drawn = [draw_each(edges(i), from_left(lanes.polylines(0))) for i, lanes in zip(images, found, strict=True)]
        save_png(given.out / f"real-{name}.png", contact_sheet(drawn, COLUMNS))


if __name__ == "__main__":
    main()
