"""The sweeps that ship with the project: chosen seeds, written to ``sample_data/sweeps`` as KITTI's files are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sfcore.datasets.lidar.bodies import NAMES
from sfcore.datasets.lidar.render import VERSION, Sweep, sweep
from sfcore.files import explained, write_atomic

LABELS = "labels.json"
#: What ships, in the order it is shown: the seed of each sweep (never trained on) and its beams.
SAMPLES: tuple[tuple[int, int], ...] = (
    (900_003, 64),
    (900_011, 32),
    (900_012, 32),
    (900_004, 32),
    (900_013, 32),
    (900_017, 32),
    (900_005, 32),
    (900_019, 32),
)
DECIMALS = 3  # of what is written: a millimetre, so that archives of the files are small
LICENCE = "Rendered by this project's own code (sfcore.datasets.lidar) from the seeds listed; no outside material."


def write_sweeps(folder: Path, sweeps: Iterable[tuple[str, Sweep]]) -> Path:
    """Write named sweeps as ``NAME.bin``, and their boxes to labels.json; returns the latter.

    Raises:
        InputError: the folder cannot be written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, each in sweeps:
        write_atomic(folder / f"{name}.bin", each.points.round(DECIMALS).astype("<f4").tobytes())
        boxes = each.boxes.astype(np.float64).round(DECIMALS).tolist()
        entry = {"file": f"{name}.bin", "boxes": boxes, "labels": each.labels.tolist()}
        lines.append(json.dumps(entry | {"points": each.points_inside.tolist()}, separators=(",", ":")))
    entries = ",\n".join(lines)
    write_atomic(folder / LABELS, f'{{"names": {json.dumps(NAMES)},\n"sweeps": [\n{entries}\n]}}\n'.encode())
    return folder / LABELS


def write_samples(folder: Path) -> Path:
    """Render the samples into ``folder/sweeps``, with a manifest.json; returns the folder of the sweeps."""
    sweeps = folder / "sweeps"
    names = [f"{place:02d}-{beams}-beams" for place, (_, beams) in enumerate(SAMPLES)]
    write_sweeps(sweeps, ((name, sweep(*each)) for name, each in zip(names, SAMPLES, strict=True)))
    files = [
        {"file": f"{name}.bin", "seed": seed, "beams": beams, "sha256": _sha256(sweeps / f"{name}.bin")}
        for name, (seed, beams) in zip(names, SAMPLES, strict=True)
    ]
    manifest = {"renderer": VERSION, "licence": LICENCE, "labels": LABELS, "sweeps": files}
    write_atomic(sweeps / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return sweeps


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
