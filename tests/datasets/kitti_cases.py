"""A small KITTI folder: an easy calibration, and objects whose places are worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# The camera looks ahead from the scanner's place: its x is the scanner's -y, its y -z, its z x.
PLAIN = "0 -1 0 0 0 0 -1 0 1 0 0 0"
P2 = "700 0 600 0 0 700 180 0 0 0 1 0"
CALIBRATION = f"P0: {P2}\nP2: {P2}\nR0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: {PLAIN}\n"

# 20 m ahead and 5 m to the left, heading to the scanner's right: x, y, z of its bottom's middle are -5, 1.7, 20.
CAR = "Car 0.00 0 0.2 406.94 187.00 445.26 240.83 1.5 1.6 4.0 -5 1.7 20 0"
WALKER = "Pedestrian 0.20 1 0.0 600 150 640 190 1.8 0.6 0.8 0 1.7 10 1.5707963267948966"  # comes towards us
DONT_CARE = "DontCare -1 -1 -10 500 160 580 190 -1 -1 -1 -1000 -1000 -1000 -10"


def write_kitti(root: Path, labels: dict[str, str], part: str = "") -> Path:
    """A folder with one sweep for each label text, by its number."""
    for number, text in labels.items():
        for folder in ("velodyne", "label_2", "calib"):
            (root / part / folder).mkdir(parents=True, exist_ok=True)
        np.ones((4, 4), "<f4").tofile(root / part / "velodyne" / f"{number}.bin")
        (root / part / "label_2" / f"{number}.txt").write_text(text)
        (root / part / "calib" / f"{number}.txt").write_text(CALIBRATION)
    return root
