"""Boxes over the picture of a frame, as the lines around them. Every function draws on a copy."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sfcore.colours import FULL, LABEL, MOVED, OBJECTS, rgb
from sfcore.drawing import DARK, SHIFT, Image, Line, banded, dashes, draw_dots, draw_lines, fixed, stroke, write_names

COLOURS = {"shift": "#E69F00", "stretch": "#D55E00", "misalignment": "#CC79A7"}  # of the parts of a distortion
DASH, GAP = 10.0, 9.0  # of labels, in pixels at the drawing width
THICKNESS = 3.0  # pixels at the drawing width
NAME = 17.0  # height of a name, in pixels at the drawing width


def draw_boxes(image: Image, outlines: Sequence[Line]) -> Image:
    """Boxes of one set, all alike."""
    picture = image.copy()
    draw_lines(picture, outlines, rgb(FULL), THICKNESS * stroke(image))
    return picture


def draw_each(image: Image, outlines: Sequence[Line], texts: Sequence[str]) -> Image:
    """Each box in a colour of its own, with a text."""
    picture = image.copy()
    for place, outline in enumerate(outlines):
        draw_lines(picture, [outline], rgb(OBJECTS[place % len(OBJECTS)]), THICKNESS * stroke(image))
    return name_boxes(picture, outlines, texts)


def draw_moved(
    image: Image, before: Sequence[Line], after: Sequence[Line], kinds: Sequence[str], lost: Sequence[bool]
) -> Image:
    """Two sets: the reference as broad translucent bands, the other as lines coloured by what happened.

    Args:
        kinds: of each box of ``after``: a part of the distortion, or "in place".
        lost: whether a box of ``before`` is missing from ``after``; it is dotted.
    """
    unit = stroke(image)
    picture = banded(image, before, rgb(FULL), 9 * unit)
    for outline, missing in zip(before, lost, strict=True):
        if missing:
            draw_dots(picture, outline, rgb(COLOURS["misalignment"]), 3 * unit)
    for kind in ("in place", *COLOURS):
        chosen = [outline for outline, each in zip(after, kinds, strict=True) if each == kind]
        draw_lines(picture, chosen, rgb(COLOURS.get(kind, MOVED)), THICKNESS * unit)
    return picture


def draw_labels(image: Image, outlines: Sequence[Line]) -> Image:
    """Labelled boxes, dashed."""
    picture, unit = image.copy(), stroke(image)
    pieces = [fixed(piece) for line in outlines for piece in dashes(line, DASH * unit, GAP * unit)]
    for tone, thickness in ((DARK, 4 * unit), (rgb(LABEL), 2 * unit)):
        cv2.polylines(picture, pieces, False, tone, max(1, round(thickness)), cv2.LINE_AA, SHIFT)
    return picture


def name_boxes(image: Image, outlines: Sequence[Line], texts: Sequence[str]) -> Image:
    """A text above each box, or at its upper edge where the picture ends."""
    high = NAME * stroke(image)

    def place(line: Line) -> tuple[float, float]:
        return float(np.mean([line[:, 0].min(), line[:, 0].max()])), max(float(line[:, 1].min()) - high, high)

    return write_names(image, [(*place(line), text) for line, text in zip(outlines, texts, strict=True)], NAME)
