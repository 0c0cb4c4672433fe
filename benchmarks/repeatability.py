"""What the order of sums alone does to the figures of tuned models: ``python -m benchmarks.repeatability RUN ...``.

Each run's model is judged by agreement with full precision, once for each of several equally right arithmetics (an
image at a time, whole batches, another memory layout, double precision, other threads). As far as its own figures
differ there, a difference between two models says nothing. ``--out`` keeps the rows, and what is there is not measured
again; ``python -m benchmarks.results --repeatability FILE`` holds the differences of a bench against them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.rows import Row, Rows
from sfcore.datasets.images import content_hash, find_images
from sfcore.deployment.arithmetic import ARITHMETICS, one_by_one
from sfcore.deployment.parity import FULL, run_each
from sfcore.deployment.subjects import of_run
from sfcore.errors import InputError
from sfcore.export.base import Subject
from sfcore.runs import RunFolder

USUAL = "one by one"


def figures(subject: Subject, files: list[Path]) -> dict[str, dict[str, float]]:
    """F1 and distortion of a quantized model against full precision, under each arithmetic."""
    detector, model = subject.detector, subject.needs_quantized()
    ways = {USUAL: one_by_one(model)} | {name: make(model) for name, make in ARITHMETICS.items()}
    failed: dict[str, str] = {}
    seen = run_each(detector, ways, files, failed)
    if failed:
        raise InputError("; ".join(failed.values()))
    found = {name: detector.task.join(parts) for name, parts in seen.predictions.items()}
    agreed = {name: detector.task.agreement(found[FULL], found[name]) for name in ways}
    return {name: {"f1": one.f1, "distortion": one.distortion} for name, one in agreed.items()}


def row(folder: RunFolder, files: list[Path]) -> Row:
    """What a run's model is, its figures and how far the farthest arithmetic moves them."""
    spec, found = folder.spec, figures(of_run(folder), files)
    moved = {key: max(abs(one[key] - found[USUAL][key]) for one in found.values()) for key in found[USUAL]}
    about = {"detector": spec.detector, "bits": str(spec.full_scheme()), "method": spec.method, "seed": spec.seed}
    return about | {"moved": moved, "figures": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, such as those of a bench")
    parser.add_argument("--test", nargs="+", required=True, metavar="SOURCE", help="unseen images")
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    given = parser.parse_args()
    rows, files = Rows(given.out), find_images(given.test)
    images = content_hash(files)[:12]
    for path in given.runs:
        about = {"run": path.name, "images": len(files), "image_hash": images}
        if not any(about.items() <= one.items() for one in rows):
            rows.add(about | row(RunFolder(path), files))
    for one in rows:
        moved = one["moved"]
        print(f"{one['run']:48} F1 ± {moved['f1']:.3f}, distortion ± {moved['distortion']:.2f}")


if __name__ == "__main__":
    main()
