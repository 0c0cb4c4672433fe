"""The TuSimple metric against the official ``lane.py``, on the same files in the same run.

    python -m benchmarks.metrics_tusimple --official TUSIMPLE_BENCHMARK/evaluate/lane.py --count 5000 --json out.json

The script needs scikit-learn and ujson beside what this project needs. It is of Python 2; its class runs unchanged on
Python 3, so only the command line at its end is left out. Both are timed from files to figures, reading JSON included,
and once without: the script on parsed entries, this project on arrays. Times are processor time of one thread. Frames
are made by the rules of the tests: usual ones, like those of the official test set, and hard ones, with all that can go
wrong. The second are fewer and shorter lanes, so reading JSON is most of the work. All scores must be equal.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sfcore.datasets.layouts.tusimple import columns_of, label_of
from sfcore.errors import InputError
from sfcore.evaluation.metrics.tusimple import CHUNK, Columns, evaluate_files, score_frames
from tests.evaluation.tusimple_cases import Entry, case, usual_case


def load_official(path: Path) -> Any:
    """The class of the official script.

    Raises:
        InputError: it is not there, or a package that it imports is missing.
    """
    if not path.is_file():
        raise InputError(f"there is no script {path}: clone TuSimple/tusimple-benchmark and name its evaluate/lane.py")
    module = ModuleType("lane")
    try:
        exec(path.read_text().split("if __name__")[0], module.__dict__)
    except ImportError as error:
        raise InputError(f"{path} needs a package ({error}): pip install scikit-learn ujson") from error
    return module.LaneEval


def best_time(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Shortest of several processor times in seconds, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def columns(truth: Entry, guess: Entry) -> Columns:
    """A frame as this project's metric takes it."""
    lanes, heights = label_of(truth)
    return Columns(columns_of(guess, len(heights)), lanes, heights, guess["run_time"])


def in_chunks(frames: list[Columns]) -> np.ndarray:
    """Scores of all frames, as many at a time as when they are read from files."""
    return np.concatenate([score_frames(frames[i : i + CHUNK]) for i in range(0, len(frames), CHUNK)])


def measure(official: Any, entries: list[tuple[Entry, Entry]], repeats: int) -> dict[str, float]:
    """Microseconds a frame of both, their ratios, and the largest difference of any figure of any frame."""
    count = len(entries)
    frames = [columns(truth, guess) for truth, guess in entries]

    def bench() -> list[tuple[float, float, float]]:
        return [official.bench(g["lanes"], t["lanes"], t["h_samples"], g["run_time"]) for t, g in entries]

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("predictions.json", "labels.json")]
        for file, each in zip(files, ((g for _, g in entries), (t for t, _ in entries)), strict=True):
            file.write_text("".join(json.dumps(entry) + "\n" for entry in each))
        theirs, figures = best_time(lambda: json.loads(official.bench_one_submit(*map(str, files))), repeats)
        ours, found = best_time(lambda: evaluate_files(*files), repeats)
    theirs_alone, expected = best_time(bench, repeats)
    ours_alone, _ = best_time(lambda: in_chunks(frames), repeats)
    means = [figure["value"] for figure in figures]
    return {
        "frames": count,
        "official_us": 1e6 * theirs / count,
        "ours_us": 1e6 * ours / count,
        "ratio": theirs / ours,
        "official_without_json_us": 1e6 * theirs_alone / count,
        "ours_without_json_us": 1e6 * ours_alone / count,
        "ratio_without_json": theirs_alone / ours_alone,
        "largest_difference": float(np.abs(found.scores - np.array(expected)).max()),
        "largest_difference_of_means": float(np.abs(found.scores.mean(0) - means).max()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True, help="the official evaluate/lane.py")
    parser.add_argument("--count", type=int, default=3000, help="frames; the official test set has 2782")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    try:
        official = load_official(options.official)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    rules = {"usual": usual_case, "hard": case}
    figures = {
        name: measure(official, [rule(index) for index in range(options.count)], options.repeats)
        for name, rule in rules.items()
    }
    print(" " * 32 + "".join(f"{name:>12}" for name in figures))
    for figure in figures["usual"]:
        print(f"  {figure:<30}" + "".join(f"{values[figure]:>12,.4g}" for values in figures.values()))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
