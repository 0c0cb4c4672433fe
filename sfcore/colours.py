"""Colours, each with one meaning throughout the app; told apart with any colour vision (Okabe and Ito, 2008)."""

from __future__ import annotations

FULL = "#56B4E9"  # objects of the full-precision detector
MOVED = "#009E73"  # objects of a perturbed or tuned detector, where they are in place
CALIBRATED = "#8A93A3"  # a quantized detector before tuning
ENGINE = "#CC79A7"  # what an engine runs, outside of this tool
LABEL = "#F0E442"  # objects as people labelled them
NEUTRAL = "#8A93A3"  # what carries no meaning of its own: grids, unselected bars

# Objects that only have to be told apart, one after the other.
OBJECTS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7", "#0072B2")

# Heads in the order of a detector's table. They avoid the colours above; lines add a dash of their own.
HEADS = ("#6C5CE7", "#B8860B", "#1F8A9E", "#B03060", "#7A8B2A", "#5D6D7E", "#A0522D", "#2F6FDE")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")


def rgb(colour: str) -> tuple[int, int, int]:
    """``#RRGGBB`` to a tuple of 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def rgba(colour: str, alpha: float) -> str:
    """``#RRGGBB`` with an opacity, as CSS."""
    return "rgba({},{},{},{:g})".format(*rgb(colour), alpha)


def head_colour(index: int) -> str:
    """The colour of the ``index``-th head of a detector."""
    return HEADS[index % len(HEADS)]


def head_dash(index: int) -> str:
    """The dash of the ``index``-th head's lines, so that colour is never the only difference."""
    return DASHES[index % len(DASHES)]
