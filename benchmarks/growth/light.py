"""A detector that costs little beside the reading, filing and scoring of its lanes: lstr-tiny at a quarter of its size.

Its weights are those of lstr-tiny, so it puts out lanes; most of them are wrong.
"""

from __future__ import annotations

from sfcore.detectors.base import Preprocessing, even_rows
from sfcore.detectors.lstr import LSTR, SOURCE
from sfcore.detectors.registry import register

LIGHT = "lstr-light"


@register(LIGHT, weights="lstr-tiny.safetensors", source=SOURCE)
def lstr_light() -> LSTR:
    """For 80 × 48 px."""
    preprocessing = Preprocessing((48, 80), (0.45, 0.45, 0.45), (0.25, 0.25, 0.25), "rgb", top=0.3)
    return LSTR(
        preprocessing, (360, 640), even_rows(360, 4.0, start=108.0), (1, 2, 2, 2), (16, 32, 64, 96), (1, 2, 2, 1),
        width=64, attention_heads=4, layers=2, placed=True, queries=12, lanes=8, units=(0.02, 0.1, 0.1, 0.3), pivot=0.6,
    )  # fmt: skip
