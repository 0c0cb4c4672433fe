"""Static pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sfcore.present.pictures import save_png


def test_pictures_keep_their_colours_on_disk(tmp_path: Path) -> None:
    image = np.full((4, 5, 3), (200, 30, 90), np.uint8)
    save_png(tmp_path / "a.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], image)
