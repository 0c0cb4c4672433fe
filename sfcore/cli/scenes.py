"""``sfcore scenes``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sfcore.cli.commands.scenes import Scenes
from sfcore.cli.console import Answer, Progress
from sfcore.datasets.scenes import SCENARIOS, Scene, render
from sfcore.datasets.scenes.folders import SIZES, write_scenes
from sfcore.errors import InputError
from sfcore.names import printable


def run(arguments: Scenes) -> Answer:
    """Render road scenes with their lane labels into a folder."""
    if arguments.count < 1:
        raise InputError(f"{arguments.count} scenes cannot be rendered: choose 1 or more")
    if arguments.scenario and arguments.scenario not in SCENARIOS:
        raise InputError(f"there is no scenario {arguments.scenario!r}: choose one of {', '.join(SCENARIOS)}")
    size = arguments.size or SIZES.get(arguments.layout, (0, 0))
    out = Path(arguments.out)
    scenes = write_scenes(arguments.layout, out, arguments.split, _render(arguments, size))
    return Answer({"out": str(out), "scenes": scenes}, f"{len(scenes)} scenes and their labels are in {printable(out)}")


def _render(arguments: Scenes, size: tuple[int, int]) -> Iterator[Scene]:
    with Progress() as progress:
        for done in range(arguments.count):
            yield render(arguments.seed + done, size, arguments.scenario)
            progress("scenes", done + 1, arguments.count)
