"""Against visitors: how soon the server answers a step of the noise slider, and the memory that it takes."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.browser import SLIDER, STEP, chromium, serving
from benchmarks.growth.base import Part
from benchmarks.growth.command import family, kept, processor
from benchmarks.rows import Row
from benchmarks.sessions import APART, record, visitors

EVERY = 2.0  # seconds between two steps of a visitor
WARM, MEASURED = 20.0, 40.0  # seconds


def cells(args: argparse.Namespace) -> list[Row]:
    """Each number of visitors."""
    return [{"part": "visitors", "visitors": count} for count in args.visitors]


def measure(cell: Row, folder: Path) -> Row:
    """On a server of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as runs, serving(Path(runs)) as url:
        server = next(one for one in family(os.getpid()) if b"app.serve" in Path(f"/proc/{one}/cmdline").read_bytes())
        with chromium() as browser:
            recorded = record(browser, f"{url}/heads", SLIDER, STEP)
        empty = kept(server, "RssAnon")
        with visitors(recorded, cell["visitors"], EVERY) as answers:
            time.sleep(WARM + APART * cell["visitors"])
            before, used, begun = len(answers), processor(server), time.monotonic()
            time.sleep(MEASURED)
            measured, used = answers[before:], processor(server) - used
            seconds, full = time.monotonic() - begun, kept(server, "RssAnon")
    return summary(measured, used, seconds) | {
        "empty_mb": round(empty / 1e6), "full_mb": round(full / 1e6), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def summary(answers: list[float], used: float, seconds: float) -> Row:
    """Milliseconds until answers, and what the server's processor does for each."""
    took = [1000 * answer for answer in answers]
    return {
        "answers": len(took),
        "median_ms": round(statistics.median(took)),
        "p95_ms": round(statistics.quantiles(took, n=20, method="inclusive")[-1]),
        "processor_ms": round(1000 * used / len(took)),
        "busy": round(used / seconds, 2),
    }


PART = Part(cells, measure)
