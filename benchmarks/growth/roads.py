"""Datasets of any size, in the layouts of CULane and TuSimple: a hundred rendered roads, again and again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.growth.command import took

RENDERED, SIZE, LANE = 100, "320x180", 6  # frames, their width and height, pixels that a lane is wide
FOLDER = 1000  # frames of a folder


def culane(rendered: Path, out: Path, count: int) -> None:
    """Links to the files of the images and of their lanes, which lists name as if each were another."""
    names = (rendered / "list/test.txt").read_text().split()
    (out / "list").mkdir(parents=True)
    with (out / "list/test.txt").open("w") as listed:
        for place in range(count):
            source = rendered / names[place % len(names)].lstrip("/")
            made = out / name_of(place)
            made.parent.mkdir(exist_ok=True)
            for end in (".jpg", ".lines.txt"):
                os.link(source.with_suffix(end), made.with_suffix(end))
            listed.write(f"/{name_of(place)}\n")


def tusimple(rendered: Path, out: Path, count: int) -> None:
    """Links to the images, and lines of labels that name them; the same lines as predictions."""
    entries = [json.loads(line) for line in (rendered / "test_label.json").read_text().splitlines()]
    out.mkdir(parents=True)
    with (out / "test_label.json").open("w") as labels, (out / "predictions.jsonl").open("w") as predictions:
        for place in range(count):
            entry = entries[place % len(entries)]
            made = out / name_of(place)
            made.parent.mkdir(exist_ok=True)
            os.link(rendered / entry["raw_file"], made)
            labels.write(json.dumps({**entry, "raw_file": name_of(place)}) + "\n")
            predictions.write(json.dumps({"raw_file": name_of(place), "lanes": entry["lanes"], "run_time": 10}) + "\n")


def name_of(place: int) -> str:
    """What a frame is called."""
    return f"{place // FOLDER:03}/{place:06}.jpg"


MAKERS: dict[str, Callable[[Path, Path, int], None]] = {"culane": culane, "tusimple": tusimple}


def roads(layout: str, count: int, folder: Path) -> Path:
    """A dataset of so many frames, made where it is not there yet."""
    rendered, out = folder / layout, folder / f"{layout}-{count}"
    if not rendered.exists():
        took("scenes", "--layout", layout, "--count", RENDERED, "--seed", 7, "--size", SIZE, "--out", rendered)
    if not out.exists():
        MAKERS[layout](rendered, out, count)
    return out
