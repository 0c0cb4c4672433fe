"""A contact sheet of labelled sweeps seen from above, for the documentation.

python docs/sweep_sheet.py sample_data/sweeps sweeps:2 --limit 4 --out docs/pictures/sweeps.webp
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from sfcore.datasets.dataset import labelled_frames
from sfcore.drawing import sheet
from sfcore.files import write_atomic
from sfcore.inputs.points import PointCloud
from sfcore.tasks.base import TASKS
from sfcore.tasks.boxes3d import Boxes3d

SPEC = PointCloud((-40.0, -40.0, 40.0, 40.0), (-3.0, 2.0), 0.4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    given = parser.parse_args()
    drawn = []
    for path, (dataset, frame) in list(labelled_frames(given.sources, "boxes3d").items())[: given.limit]:
        label = dataset.label(frame)
        boxes = Boxes3d.from_objects([label.objects if label else []], dataset.names, SPEC.extent)
        drawn.append(TASKS["boxes3d"].draw(SPEC.canvas(SPEC.read(path)), boxes))
    page = sheet(drawn, given.columns, 1600)
    write_atomic(
        given.out, cv2.imencode(given.out.suffix, page[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
    )


if __name__ == "__main__":
    main()
