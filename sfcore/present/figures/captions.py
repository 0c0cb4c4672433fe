"""A picture with a line of text in its upper corner."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from sfcore.drawing import DARK, Image, font_of


def captioned(image: Image, text: str, lines: int = 44) -> Image:
    """A copy of the picture with the text on a dark ground.

    Args:
        lines: how many lines of text would be as wide as the picture; fewer are larger.
    """
    pen = Pillow.fromarray(image)
    draw, size = ImageDraw.Draw(pen, "RGBA"), max(12, image.shape[1] // lines)
    font, corner = font_of(size), (size, size)
    box = draw.textbbox(corner, text, font=font)
    draw.rounded_rectangle((size / 2, size / 2, box[2] + size / 2, box[3] + size / 2), size / 3, (*DARK, 205))
    draw.text(corner, text, font=font, fill=(255, 255, 255, 255))
    return np.asarray(pen)
