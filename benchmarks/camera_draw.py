"""Frames by camera: so many of so many cameras, and cameras that are kept apart for judging."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

from sfcore.errors import InputError

Cameras = Mapping[str, tuple[Path, ...]]  # frames by the camera that took them

T = TypeVar("T")


def camera_of(frame: Path) -> str:
    """Folder and name without the number at its end: ``roads/alps-02.jpg`` is of the camera ``roads/alps``.

    Example:
        >>> camera_of(Path("roads/alps-02.jpg")), camera_of(Path("drive.mp4/000120"))
        ('roads/alps', 'drive.mp4/')
    """
    return f"{frame.parent.name}/{frame.stem.rstrip('0123456789').rstrip('-_. ')}"


def by_camera(frames: Iterable[Path], without: Collection[str] = ()) -> dict[str, tuple[Path, ...]]:
    """The frames of each camera, but for cameras whose name begins with one of ``without``."""
    found: dict[str, list[Path]] = {}
    for frame in frames:
        found.setdefault(camera_of(frame), []).append(frame)
    named = {camera: camera.partition("/")[2] for camera in found}
    return {camera: tuple(own) for camera, own in found.items() if not named[camera].startswith(tuple(without))}


def deal(cameras: Cameras, count: int, seed: int) -> list[Path]:
    """So many frames, in turns of the cameras: their numbers differ by one at most until a camera has no more.

    Raises:
        InputError: there are not so many frames.
    """
    if count > (there := sum(map(len, cameras.values()))):
        raise InputError(f"{count} frames of {len(cameras)} cameras, which have {there}: ask for {there} or fewer")
    generator = torch.Generator().manual_seed(seed)
    decks = [_shuffled(cameras[name], generator) for name in _shuffled(sorted(cameras), generator)]
    turns = [deck[turn] for turn in range(max(map(len, decks), default=0)) for deck in decks if turn < len(deck)]
    return turns[:count]


def draw(cameras: Cameras, count: int, number: int, seed: int) -> list[Path]:
    """So many frames of ``number`` cameras, alike of each; only cameras that have as many can be drawn.

    Raises:
        InputError: fewer cameras have as many frames, or there are more cameras than frames.
    """
    share = -(-count // number)
    able = sorted(name for name, frames in cameras.items() if len(frames) >= share)
    if number > min(count, len(able)):
        raise InputError(
            f"{count} frames of {number} cameras: {len(able)} cameras have {share} or more: ask for fewer cameras or "
            f"{'more' if number > count else 'fewer'} frames"
        )
    chosen = _shuffled(able, torch.Generator().manual_seed(seed))[:number]
    return deal({name: cameras[name] for name in chosen}, count, seed)


def apart(cameras: Cameras, number: int, seed: int) -> tuple[Cameras, Cameras]:
    """Some cameras, drawn by a seed, and all others."""
    drawn = set(_shuffled(sorted(cameras), torch.Generator().manual_seed(seed))[:number])
    taken = {name: frames for name, frames in cameras.items() if name in drawn}
    return taken, {name: frames for name, frames in cameras.items() if name not in drawn}


def _shuffled(values: Iterable[T], generator: torch.Generator) -> list[T]:
    ordered = list(values)
    return [ordered[place] for place in torch.randperm(len(ordered), generator=generator).tolist()]
