"""Contact sheets of what detectors find in real frames, or rendered ones, for the documentation.

    python docs/contact_sheets.py ganet-tiny resa-tiny --images 'highway[::18]' --out docs/pictures
    python docs/contact_sheets.py centerpoint-pillar-tiny --images 'sweeps:4,seed=910000' --prefix rendered --limit 4 \
        --width 400 --out docs/pictures

Images are drawn as edges: the project ships no photograph that it did not make. Sheets of real sweeps are
for whoever has them: KITTI's licence is not this project's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from sfcore.datasets.images import find_images
from sfcore.detectors.base import Detector, Image
from sfcore.detectors.registry import create
from sfcore.inputs.base import Frame
from sfcore.present.pictures import contact_sheet, save_png
from sfcore.tasks.base import Prediction
from sfcore.tasks.lanes import Lanes, Polyline
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


def drawn(detector: Detector, frame: Frame, found: Prediction) -> Image:
    """What was found in a frame."""
    canvas = detector.preprocessing.canvas(frame)
    if isinstance(found, Lanes):
        return draw_each(edges(canvas), from_left(found.polylines(0)))
    return detector.task.draw(canvas, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="NAME")
    parser.add_argument("--images", action="append", required=True, metavar="SOURCE")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--prefix", default="real", help="of the files' names")
    parser.add_argument("--width", type=int, default=320, help="of each frame")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    for name in given.detectors:
        detector = create(name)
        files = find_images(given.images, given.limit, formats=detector.preprocessing.formats)
        frames = [detector.preprocessing.read(file) for file in files]
        found = [drawn(detector, *pair) for pair in zip(frames, detector.detect(frames), strict=True)]
        columns = min(COLUMNS, max(1, len(found) // 2))
        save_png(given.out / f"{given.prefix}-{name}.png", contact_sheet(found, columns, given.width))


if __name__ == "__main__":
    main()
