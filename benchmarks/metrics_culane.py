"""CULane's metric against the official C++ tool on the same files.

    python -m benchmarks.metrics_culane --official ./evaluate [--count 500] [--jobs 2] [--json out.json]

The tool is ``tools/lane_evaluation`` of SCNN, built with ``-O3``; it draws and pairs on one thread
(``OMP_NUM_THREADS=1``). Frames are made by rule: four labelled lanes of about 30 points, predictions of 18 to 70. Both
read the same files in turns, and their counts must be equal. Processor time is compared, because a busy machine
stretches the wall clock; several jobs are compared with one by the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sfcore.datasets.layouts.culane import lanes_file
from sfcore.evaluation.metrics.culane import SIZE, WIDTH, evaluate_files
from sfcore.tasks.counts import Counts

IOU = 0.5
ROUNDS = 3


def write_frames(root: Path, count: int) -> list[str]:
    """Label and prediction files of ``count`` frames under ``root``; returns the names of the images."""
    rng = np.random.default_rng(0)
    names = [f"/frames/{index:05d}.jpg" for index in range(count)]
    for name in names:
        centres = 820 + np.array([-900, -300, 300, 900]) * rng.uniform(0.7, 1.3, 4)
        labelled = [road_lane(rng, x, int(rng.integers(28, 35))) for x in centres]
        found = [lane + np.array([rng.normal(0, 8), 0]) for lane in labelled if rng.random() < 0.95]
        _write(root / "labels", name, labelled)
        _write(
            root / "predictions",
            name,
            [lane[:: rng.integers(1, 3)] if rng.random() < 0.5 else dense(lane) for lane in found],
        )
    (root / "list.txt").write_text("".join(f"{name}\n" for name in names))
    return names


def road_lane(rng: np.random.Generator, bottom: float, points: int) -> np.ndarray:
    """(points, 2) a lane every 10 rows from the bottom up, towards the vanishing point, bent."""
    y = 590.0 - 10 * np.arange(points)
    share = (590 - y) / 350
    return np.stack([bottom + (820 - bottom) * share + rng.normal(0, 30) * share**2, y], 1)


def dense(lane: np.ndarray) -> np.ndarray:
    """(2 N, 2) the same lane at twice as many points."""
    y = np.linspace(lane[0, 1], lane[-1, 1], 2 * len(lane))
    return np.stack([np.interp(-y, -lane[:, 1], lane[:, 0]), y], 1)


def official(binary: Path, root: Path) -> Counts:
    """Run the official tool on the files under ``root``."""
    folders = {"-a": root / "labels", "-d": root / "predictions", "-i": root, "-l": root / "list.txt"}
    settings = {"-w": WIDTH, "-t": IOU, "-c": SIZE[1], "-r": SIZE[0], "-o": root / "out.txt"}
    arguments = [str(part) for pair in (folders | settings).items() for part in pair]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([binary.resolve(), *arguments], env=environment, check=True, capture_output=True)
    counts = re.search(r"tp: (\d+) fp: (\d+) fn: (\d+)", (root / "out.txt").read_text())
    assert counts
    return Counts(*(int(value) for value in counts.groups()))


def ours(root: Path, names: Sequence[str], jobs: int) -> Counts:
    found = evaluate_files(root / "predictions", root / "labels", names, (IOU,), jobs=jobs)
    assert not found.problems
    return found.totals()[0]


@dataclass(frozen=True)
class Timing:
    """Wall-clock and processor seconds, the latter with those of processes that were started, and what was counted."""

    wall: float
    processor: float
    counts: Counts


def timed(work: Callable[[], Counts]) -> Timing:
    begun, used = time.perf_counter(), _processor_seconds()
    counts = work()
    return Timing(time.perf_counter() - begun, _processor_seconds() - used, counts)


def measure(binary: Path, root: Path, names: Sequence[str], jobs: int) -> dict[str, float | int]:
    """The shortest of several times of each, taken in turns."""
    works: dict[str, Callable[[], Counts]] = {
        "official": lambda: official(binary, root),
        "one_job": lambda: ours(root, names, 1),
        "several_jobs": lambda: ours(root, names, jobs),
    }
    runs = [{name: timed(work) for name, work in works.items()} for _ in range(ROUNDS)]
    results = {timing.counts for run in runs for timing in run.values()}
    if len(results) > 1:
        raise SystemExit(f"the counts differ: {results}")
    processor = {name: 1000 / len(names) * min(run[name].processor for run in runs) for name in works}
    wall = {name: min(run[name].wall for run in runs) for name in works}
    return {
        "frames": len(names),
        "tp": results.pop().tp,
        "official_processor_ms_per_frame": processor["official"],
        "ours_processor_ms_per_frame": processor["one_job"],
        "ratio": processor["official"] / processor["one_job"],
        "jobs": jobs,
        "jobs_wall_ratio": wall["one_job"] / wall["several_jobs"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _write(root: Path, name: str, lanes: Sequence[np.ndarray]) -> None:
    path = lanes_file(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(f"{x:.5f} {y:.5f}" for x, y in lane) + "\n" for lane in lanes))


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True, help="the built tool")
    parser.add_argument("--count", type=int, default=500, help="frames")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    if not options.official.is_file():
        print(f"there is no tool {options.official}: build tools/lane_evaluation of SCNN first", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(options.official, Path(folder), write_frames(Path(folder), options.count), options.jobs)
    for name, value in figures.items():
        print(f"{name:<34}{value:>12,.2f}" if isinstance(value, float) else f"{name:<34}{value:>12,}")
    if options.json:
        content = {"opencv": cv2.__version__, "machine": platform.processor(), **figures}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
