"""What grows, and how: ``python -m benchmarks.growth --out rows.jsonl --picture growth.png``.

Time and memory against images of evaluation, heads of detectors, visitors of the app and workers. Each figure is of a
process of its own; on a machine that does other work, too, read processor seconds, not those by the clock. ``--out``
keeps each row as a line of JSON, and what is there already is not measured again. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.growth import heads, images, light, visitors, workers
from benchmarks.growth.picture import save_growth
from benchmarks.growth.table import markdown
from benchmarks.rows import Rows

PARTS = {"images": images.PART, "heads": heads.PART, "visitors": visitors.PART, "workers": workers.PART}


def main() -> None:
    """Measure what is not there yet, print it and draw it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    parser.add_argument("--picture", type=Path, help="draws them, as PNG")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts; none: draw what is there")
    parser.add_argument("--layouts", nargs="+", choices=("culane", "tusimple"), default=["culane", "tusimple"])
    parser.add_argument("--images", nargs="+", type=int, default=[100, 1000, 10_000, 100_000], help="evaluated")
    parser.add_argument(
        "--detectors", nargs="*", default=["lstr-tiny", light.LIGHT], help="that images are evaluated with"
    )
    parser.add_argument("--curve-images", nargs="+", type=int, default=[10, 20], help="that curves are measured on")
    parser.add_argument("--visitors", nargs="+", type=int, default=[1, 2, 5, 10, 20])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    os.environ["SFCORE_PLUGINS"] = light.__file__
    rows = Rows(args.out)
    with tempfile.TemporaryDirectory(prefix="sfcore-growth-") as folder:
        for name in args.only:
            for cell in PARTS[name].missing(args, rows):
                rows.add(cell | PARTS[name].measure(cell, Path(folder)))
    print(markdown(rows))
    if args.picture:
        save_growth(args.picture, rows)


if __name__ == "__main__":
    main()
