"""``sfcore scenes``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from sfcore.cli.console import Answer, Progress
from sfcore.datasets.scenes import SCENARIOS, render
from sfcore.errors import InputError
from sfcore.export.pictures import save_png
from sfcore.files import explained, write_atomic


def run(arguments: argparse.Namespace) -> Answer:
    """Render road scenes with their lane labels into a folder."""
    if arguments.count < 1:
        raise InputError(f"{arguments.count} scenes cannot be rendered: choose 1 or more")
    if arguments.scenario and arguments.scenario not in SCENARIOS:
        raise InputError(f"there is no scenario {arguments.scenario!r}: choose one of {', '.join(SCENARIOS)}")
    out, progress, labels = Path(arguments.out), Progress(), []
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
    for done in range(arguments.count):
        scene = render(arguments.seed + done, scenario=arguments.scenario)
        file = f"{scene.seed:08d}.png"
        save_png(out / file, scene.image)
        lanes = [np.round(line, 2).tolist() for line in scene.lanes]
        labels.append({"file": file, "seed": scene.seed, "scenario": scene.scenario, "lanes": lanes})
        progress("scenes", done + 1, arguments.count)
    progress.close()
    write_atomic(out / "labels.json", json.dumps(labels).encode())
    text = f"{arguments.count} scenes and labels.json are in {out}"
    return Answer({"out": str(out), "scenes": [{k: v for k, v in one.items() if k != "lanes"} for one in labels]}, text)
