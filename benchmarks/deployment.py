"""What engines make of exported networks: ``python -m benchmarks.deployment NAME... --engines onnxruntime openvino``.

For each detector and scheme: calibrated, exported, run in each engine and in the simulation on images that nothing was
calibrated on, each against full precision; and how far the simulation differs from itself under other arithmetics. With
milliseconds of one image, one thread, quantized beside fp32. Prints Markdown; ``--out`` keeps the rows as JSON, and
what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sfcore.datasets.images import find_images
from sfcore.deployment.parity import SIMULATION, Parity, check
from sfcore.deployment.subjects import of_detector
from sfcore.engines.base import ENGINES
from sfcore.files import write_json
from sfcore.quant import Scheme

SCHEMES = ("W8A8-portable-adds", "W8A4-portable-adds", "W4A4-portable-adds")
Row = dict[str, Any]


def row_of(name: str, bits: str, args: argparse.Namespace) -> Row:
    """One detector in one scheme."""
    subject = of_detector(name, args.weights, None, Scheme.parse(bits), args.calibration)
    files = find_images(args.images, args.limit, subject.detector.preprocessing.formats)
    found = check(subject, files, args.engines)
    return {"detector": args.called or name, "bits": bits, **found.to_dict(), "kept": _kept(found, args.engines)}


def _kept(found: Parity, engines: Sequence[str]) -> dict[str, bool]:
    return {name: name in found.engines and found.keeps(name) for name in engines}


def markdown(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """Two tables: F1 and distortion against full precision, with the simulation's own noise; and how fast."""
    ways = [SIMULATION, *engines]
    lines = [
        "| detector | scheme | " + " | ".join(ways) + " | layout | float64 | file of fp32 |",
        "|" + " --- |" * (len(ways) + 5),
    ]
    for row in rows:
        cells = [_agreed(row, name) for name in ways]
        cells += [f"{row['repeatability'][name]['distortion']:.1f}" for name in ("layout", "float64")]
        cells += [f"{row['bytes']['onnx'] / row['bytes']['onnx-fp32']:.2f}"]
        lines.append(f"| {row['detector']} | {row['bits']} | " + " | ".join(cells) + " |")
    lines += ["", "| detector | scheme | " + " | ".join(f"{name}, fp32" for name in engines) + " |"]
    lines += ["|" + " --- |" * (len(engines) + 2)]
    for row in rows:
        times = [_times(row["latency"].get(name)) for name in engines]
        lines.append(f"| {row['detector']} | {row['bits']} | " + " | ".join(times) + " |")
    return "\n".join(lines)


def _agreed(row: Row, name: str) -> str:
    found = row["engines"].get(name, {"error": "not asked"})
    if "error" in found:
        return "does not run"
    return f"{found['f1']:.3f} / {found['distortion']:.1f}{_mark(row, name)}"


def _mark(row: Row, name: str) -> str:
    """✗ where a promise is not kept; ≈ where it is not, but the simulation differs from itself by as much."""
    if row["kept"].get(name, True):
        return ""
    own = max(each["distortion"] for each in row["repeatability"].values())
    return " ≈" if row["between"][f"{SIMULATION}|{name}"]["distortion"] <= own else " ✗"


def _times(found: Row | None) -> str:
    return "–" if found is None else f"{found['quantized']['median_ms']:.1f}, {found['fp32']['median_ms']:.1f} ms"


def main() -> None:
    """Measure what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--bits", nargs="+", default=list(SCHEMES))
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--calibration", nargs="+", default=["scenes:64,seed=1"])
    parser.add_argument("--images", nargs="+", default=["scenes:64,seed=99"])
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--weights")
    parser.add_argument("--called", help="what to call a detector with weights of its own")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows: list[Row] = json.loads(args.out.read_text()) if args.out and args.out.exists() else []
    for name in args.detectors:
        for bits in args.bits:
            if any((row["detector"], row["bits"]) == (args.called or name, bits) for row in rows):
                continue
            rows.append(row_of(name, bits, args))
            print(markdown(rows[-1:], args.engines), file=sys.stderr, flush=True)
            if args.out:
                write_json(args.out, rows)
    print(markdown(rows, args.engines))


if __name__ == "__main__":
    main()
