"""``python -m sfcore.runs.sample``: makes the run that ships as sample_data/tour, which the guided tour tells about.

It takes four minutes of one core. The scenes that it is tuned on are rendered for it and are not among the samples,
so the samples are roads that the run has never seen.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfcore.datasets.images import content_hash
from sfcore.datasets.scenes import render
from sfcore.datasets.scenes.folders import write_scenes
from sfcore.files import write_json
from sfcore.resources import sample_data
from sfcore.runs.folder import RunFolder
from sfcore.runs.spec import RunSpec
from sfcore.runs.tags import Tags, write_tags
from sfcore.runs.worker import work

SCENES = 64
FIRST_SCENE = 52_000_000  # seeds from here on: far from those of samples, training and scoring
SPEC = RunSpec(
    "condlanenet-tiny",
    ("scenes",),
    "W4A4-tensor",  # with ranges from end to end: four bits at their plainest
    "selective-focus",
    options={"iterations": 600, "batch": 4, "learning_rate": 2e-4},
    device="cpu",
    weight_calibrator="minmax",
    activation_calibrator="minmax",
)
TAGS = Tags(("example",), "Ships with the app. Its images were rendered for it and are not on this machine.")
KEPT = (
    "run.json", "labels.json", "events.jsonl", "curves.csv", "curves.json", "lanes.json",
    "calibrated.safetensors", "model.safetensors",
)  # fmt: skip


def make(out: Path) -> RunFolder:
    """Render the scenes, carry the run out beside them, and keep its files with a manifest in ``out``."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # so that the paths it records are short
        write_scenes("folder", Path("scenes"), "test", (render(FIRST_SCENE + index) for index in range(SCENES)))
        run = RunFolder.create(Path("tour"), SPEC)
        work(run, watch=_tell)
        write_tags(run, TAGS)
        out.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            shutil.copy(run.path / name, out / name)
    write_json(out / "manifest.json", manifest(out))
    return RunFolder.open(out)


def manifest(folder: Path) -> dict[str, object]:
    """What made the files, under which licence, and their hashes."""
    return {
        "made_by": "python -m sfcore.runs.sample",
        "licence": "Made by this project's own code from its own scenes and weights; no outside material.",
        "scenes": {"first_seed": FIRST_SCENE, "count": SCENES},
        "files": [{"file": name, "sha256": content_hash([folder / name])} for name in KEPT],
    }


def _tell(event: Mapping[str, Any]) -> None:
    """A line every now and then."""
    if event.get("iteration", 1) % 50 == 0:
        print(f"iteration {event['iteration']} of {event['iterations']}")


if __name__ == "__main__":
    print(json.dumps(make(sample_data() / "tour").record()["result"]))
